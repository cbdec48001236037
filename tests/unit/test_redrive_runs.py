"""A whole run of redrive in memory: what it puts back, a real handler applies; what is given up, it finds.

The same against the emulator: tests/integration/test_redrive_on_the_stack.py.
"""

import base64
import gzip
import io
import json
import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from benchmarks.table_server import Table
from common.dynamodb import DynamoDB
from common.errors import ServiceError
from stream_features.events import decoder
from stream_features.handler import Runtime, apply_batch
from stream_features.spec import parse
from stream_features.state import Row, decode_out
from stream_features.verdict import REMEMBERED_IDS
from streamscore.local.delivery import GiveUp, Rules
from streamscore.local.delivery import Record as Delivered
from streamscore.local.events import failure_record
from streamscore.local.mapping import Mapping
from streamscore.redrive.drive import FUNCTIONS, Drive, Wanted
from streamscore.redrive.progress import REDRIVEN
from streamscore.redrive.report import Report
from tests.stream_events import SHARD, kinesis_event

GIVEN_UP, REFUSED = "RetryAttemptsExhausted", "missing_field"
FROM_LAMBDA, FROM_HANDLER = "given up by stream_features", "quarantined by stream_features"
SPEC = parse("""
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "7d"
fields = { amount = "decimal(2)" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "card_count"
entity = "card"
op = "count"
windows = ["1d"]
[[feature]]
name = "shop_sum"
entity = "shop"
op = "sum"
of = "amount"
windows = ["1d"]
""")


class KilledError(BaseException):
    """A run of redrive that ends here, whatever it was about to do."""


class State(Table):
    """The state table; `fails` says which of its writes are throttled, by their number."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Callable[[int], bool] = lambda _: False
        self.calls, self.rows = 0, list[Row]()

    def each(self, operation: str, requests: Sequence[Any], most: int) -> list[Callable[[], Any]]:
        return [partial(self._call, operation, request) for request in requests]

    def _call(self, operation: str, request: Any) -> Any:
        if operation == "batch_execute_statement":
            self.calls += 1
            if self.fails(self.calls - 1):
                raise ServiceError(operation, "ThrottlingException", "slow down", 400)
        return getattr(self, operation)(request)

    def _execute(self, text: str, parameters: list[Any]) -> dict[str, Any]:
        answer = super()._execute(text, parameters)
        if "out" in text and "REMOVE" not in text and "Error" not in answer:
            out = parameters[5 if text.startswith("INSERT") else 4]["B"]
            self.rows += decode_out(out).rows
        return answer


class Bucket:
    """S3, as far as it is asked."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[datetime, bytes]] = {}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, str]:
        self.objects[Key] = datetime.now(UTC), Body
        return {}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key][1])}

    def get_paginator(self, _: str) -> "Bucket":
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        found = [
            {"Key": key, "LastModified": at, "ETag": str(hash(body))}
            for key, (at, body) in sorted(self.objects.items())
            if key.startswith(Prefix)
        ]
        return [{"Contents": [one]} for one in found] or [{}]


class Stream:
    """Kinesis, of one shard."""

    def __init__(self) -> None:
        self.records: list[bytes] = []

    def put_records(self, *, StreamARN: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
        self.records += [record["Data"] for record in Records]
        return {"FailedRecordCount": 0, "Records": [{}] * len(Records)}


class Queues:
    """SQS; a message that was received is hidden until it is shown again."""

    def __init__(self) -> None:
        self.messages: dict[str, list[str]] = {"undelivered": [], "unpublished": []}
        self.hidden: list[str] = []

    def receive_message(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:
        here = [body for body in self.messages[QueueUrl] if body not in self.hidden]
        self.hidden += here
        sent = {"SentTimestamp": str(time.time_ns() // 1_000_000)}
        return {
            "Messages": [{"Body": b, "ReceiptHandle": b, "MessageId": b, "Attributes": sent} for b in here]
        }

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:
        self.messages[QueueUrl].append(MessageBody)

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        self.messages[QueueUrl].remove(ReceiptHandle)

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:
        self.hidden.remove(ReceiptHandle)


class Functions:
    """Lambda: answers as it is told to, and keeps what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answer: dict[str, Any] = {}
        self.reply: Any = {"batchItemFailures": []}

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        self.asked.append((FunctionName, json.loads(Payload)))
        return {**self.answer, "Payload": io.BytesIO(json.dumps(self.reply).encode())}


class Counting:
    """A client whose writes are counted, and that kills after so many."""

    WRITES = ("put_records", "put_object", "invoke", "send_message", "delete_message")

    def __init__(self, client: Any, world: "World") -> None:
        self._client, self._world = client, world

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return call if name not in self.WRITES else lambda **request: self._world.written(call(**request))


class World:
    """A stack of one lane."""

    outputs = {
        "EventsStreamArn": "arn",
        "DataBucketName": "bucket",
        "UndeliveredQueueUrl": "undelivered",
        "UnpublishedQueueUrl": "unpublished",
        **{output: room for room, output in FUNCTIONS.items()},
    }

    def __init__(self) -> None:
        self.state, self.bucket, self.stream, self.queues = State(), Bucket(), Stream(), Queues()
        self.functions = Functions()
        self.clients = {
            "s3": self.bucket,
            "kinesis": self.stream,
            "sqs": self.queues,
            "lambda": self.functions,
        }
        self.delivered, self.writes, self.most_writes = 0, 0, math.inf
        nowhere: Any = None
        self.runtime = Runtime(SPEC, decoder(SPEC), DynamoDB(self.state), "state", nowhere)  # type: ignore[arg-type]

    def client(self, service: str) -> Any:
        return Counting(self.clients[service], self)

    def written(self, answer: Any) -> Any:
        self.writes += 1
        if self.writes > self.most_writes:
            raise KilledError
        return answer

    def put(self, *records: dict[str, Any]) -> None:
        self.stream.records += [json.dumps(record).encode() for record in records]

    def deliver(self) -> None:
        """What is new on the stream, ten records a batch; what is not finished at once is given up."""
        while new := self.stream.records[self.delivered :][:10]:
            event = kinesis_event(new, time.time_ns() // 1_000_000, first=self.delivered + 1)
            answer = apply_batch(event, self.runtime, lambda: 0)
            if answer["batchItemFailures"]:
                self.given_up("stream_features", "kinesis:us-east-1:1:stream/e", event["Records"])
            self.delivered += len(new)

    def given_up(self, room: str, source: str, documents: Sequence[Any]) -> None:
        function = f"arn:aws:lambda:us-east-1:1:function:{room}"
        mapping = Mapping("M", "uuid", f"arn:aws:{source}", function, Rules())
        records = tuple(Delivered(str(n), 0, json.dumps(one).encode()) for n, one in enumerate(documents))
        body = failure_record(mapping, SHARD, GiveUp(records, GIVEN_UP, 101), "id", 0)
        self.bucket.put_object(Bucket="", Key=f"aws/lambda/uuid/{len(self.bucket.objects)}", Body=body)

    def set_aside(self, name: str, *records: dict[str, Any], reason: str = REFUSED) -> None:
        payloads = [base64.b64encode(json.dumps(record).encode()).decode() for record in records]
        lines = [{"reason": reason, "payload": payload, "kind": "kinesis"} for payload in payloads]
        body = gzip.compress(b"\n".join(json.dumps(line).encode() for line in lines))
        self.bucket.put_object(Bucket="", Key=f"quarantine/2025/11/24/{name}.jsonl.gz", Body=body)

    def redrive(self, *, dry_run: bool = False, most_writes: float = math.inf, **wanted: Any) -> Report:
        report, self.writes, self.most_writes = Report(dry_run), 0, most_writes
        Drive(self, SPEC, Wanted(**wanted), rate=200, sleep=lambda _: None).run(report, Silent())
        return report

    def keys(self, prefix: str) -> list[str]:
        return [key for key in sorted(self.bucket.objects) if key.startswith(prefix)]

    def vectors(self) -> dict[str, list[float]]:
        """Of each row that left the table; one that leaves twice is an error."""
        ids = [row.id for row in self.state.rows]
        assert len(set(ids)) == len(ids)
        return {row.id: memoryview(row.vector).cast("f").tolist() for row in self.state.rows}


class Silent:
    def expect(self, total: int) -> None: ...
    def advance(self, amount: int) -> None: ...
    def note(self, text: str) -> None: ...


def event(name: str, card: str = "c1", shop: str = "s1", **more: Any) -> dict[str, Any]:
    at = time.time_ns() // 1_000_000
    return {"id": name, "at": at, "card": card, "shop": shop, "amount": 12.5, **more}


@pytest.fixture
def world() -> World:
    return World()


def test_a_half_applied_record_that_was_given_up_heals_for_every_entity(world: World) -> None:
    world.put(event("a", "c1"), event("b", "c2"))
    world.state.fails = lambda number: number == 1  # the shop's, after the cards'
    world.deliver()
    world.state.fails = lambda _: False
    assert set(world.state.items) == {"card#c1", "card#c2"}, "half applied"
    report = world.redrive()
    assert report.as_json()["found"] == [
        {"from": FROM_LAMBDA, "reason": GIVEN_UP, "records": 2, "back": 2, "before": 0, "left": 0}
    ]
    world.put(event("c", "c1"))
    world.deliver()
    assert world.vectors()["c"] == [2, 37.5], "the card has two events, the shop three"


def test_a_record_that_no_entity_has_is_applied_to_all(world: World) -> None:
    world.put(event("a"), {**event("a"), "type": "label", "fraud": True, "label_time": 5})
    world.state.fails = lambda _: True
    world.deliver()
    world.state.fails = lambda _: False
    assert world.state.rows == []
    world.redrive()
    world.deliver()
    assert world.vectors() == {"a": [1, 12.5]}


def test_killed_between_any_two_writes_and_run_again_it_counts_every_record_once(world: World) -> None:
    def load(run: int) -> None:
        for half in range(2):
            some = [event(f"{run}/{half}/{n}", f"c{run}", f"s{run}") for n in range(2)]
            world.set_aside(f"{run}-{half}", *some, event(f"{run}/{half}/x", f"d{run}", f"s{run}"))

    load(0)
    report = world.redrive()
    whole = world.writes
    assert (report.tallies[FROM_HANDLER, REFUSED].back, whole) == (6, 8), "requests and notes"
    for killed_at in range(1, whole):
        load(killed_at)
        with pytest.raises(KilledError):
            world.redrive(most_writes=killed_at - 1)
        assert world.redrive().left == 0
    world.deliver()
    last = [event(f"last{run}", f"c{run}", f"s{run}") for run in range(whole)]
    world.put(*last)
    world.deliver()
    rows = world.vectors()
    assert [rows[one["id"]] for one in last] == [[5, 7 * 12.5]] * whole
    assert len(rows) == 7 * whole
    again = world.redrive()
    assert (again.tallies[FROM_HANDLER, REFUSED].before, world.writes) == (6 * whole, 0)


def test_a_busy_shop_counts_a_request_that_is_sent_twice_once(world: World) -> None:
    count = 2 * REMEMBERED_IDS
    world.set_aside("busy", *(event(f"e{n}", f"c{n}") for n in range(count)))
    with pytest.raises(KilledError):
        world.redrive(most_writes=2)  # the second request is on the stream, and that is not noted
    world.redrive()
    world.put(event("last"))
    world.deliver()
    rows = world.vectors()
    assert len(rows) == count + 1
    assert rows["last"][1] == (count + 1) * 12.5


def test_what_is_refused_still_or_not_asked_for_is_left_for_a_later_run(world: World) -> None:
    bare = {key: value for key, value in event("bare").items() if key != "card"}
    world.set_aside("a", event("good"), bare)
    world.set_aside("b", event("far"), reason="too_far_ahead")
    first = world.redrive(reasons=frozenset({REFUSED}))
    assert first.told[0].why == "missing_field: card: is missing"
    assert first.told[0].where == "quarantine/2025/11/24/a.jsonl.gz line 2"
    assert set(first.tallies) == {(FROM_HANDLER, REFUSED)}
    second = world.redrive()
    assert second.as_json()["found"] == [
        {"from": FROM_HANDLER, "reason": REFUSED, "records": 2, "back": 0, "before": 1, "left": 1},
        {"from": FROM_HANDLER, "reason": "too_far_ahead", "records": 1, "back": 1, "before": 0, "left": 0},
    ]
    world.deliver()
    assert sorted(world.vectors()) == ["far", "good"]


def test_a_dry_run_says_the_same_and_writes_nothing(world: World) -> None:
    world.set_aside("a", event("good"), {"id": "bad"})
    told = world.redrive(dry_run=True)
    assert (world.writes, world.keys(REDRIVEN)) == (0, [])
    assert list(told.lines())[0] == f"{FROM_HANDLER}, {REFUSED}: 2 records, 1 would come back, 1 left"
    done = world.redrive()
    assert done.as_json()["found"] == told.as_json()["found"]
    assert world.keys(REDRIVEN) == ["redriven/quarantine/2025/11/24/a.jsonl.gz.json"]


def test_only_what_was_written_since_is_looked_at(world: World) -> None:
    world.set_aside("a", event("good"))
    later_ms = time.time_ns() // 1_000_000 + 60_000
    assert not world.redrive(since_ms=later_ms).tallies
    assert world.redrive(since_ms=later_ms - 600_000).tallies[FROM_HANDLER, REFUSED].back == 1


def test_what_is_no_object_of_ours_is_told_and_holds_nothing_up(world: World) -> None:
    world.bucket.put_object(Bucket="", Key="quarantine/strange", Body=b"?")
    world.set_aside("a", event("good"))
    report = world.redrive()
    assert (report.left, report.tallies[FROM_HANDLER, REFUSED].back) == (1, 1)
    assert "quarantine/strange: not an object that redrive can read" in report.told[0].why


def test_undelivered_ids_go_back_to_their_queue_and_other_messages_stay(world: World) -> None:
    ids, other = '["a", "b"]', '{"source": "schedule"}'
    world.queues.messages["undelivered"] = [ids, other]
    told = world.redrive(dry_run=True)
    assert (world.writes, told.left, told.tallies["undelivered", "unpublished"].back) == (0, 1, 2)
    assert (world.queues.messages["undelivered"], world.queues.hidden) == ([ids, other], [])
    assert world.redrive().as_json()["found"] == told.as_json()["found"]
    assert world.queues.messages == {"undelivered": [other], "unpublished": [ids]}
    assert not world.redrive(reasons=frozenset({"bad_json"})).tallies


@pytest.mark.parametrize("room", ["scoring", "monitor"])
def test_a_batch_of_a_table_is_handed_to_its_function_once_it_finishes_it(world: World, room: str) -> None:
    record = {"dynamodb": {"SequenceNumber": "1"}}
    world.given_up(room, "dynamodb:us-east-1:1:table/t/stream/x", [record])
    place = f"given up by {room}", GIVEN_UP
    assert world.redrive(dry_run=True).tallies[place].back == 1
    assert world.functions.asked == []
    world.functions.answer, world.functions.reply = {"FunctionError": "Unhandled"}, {"errorMessage": "no"}
    assert world.redrive().told[0].why == f"{room} failed: no"
    world.functions.answer, world.functions.reply = {}, {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert "run redrive again" in world.redrive().told[0].why
    world.functions.reply = {"batchItemFailures": [], "state": {}}
    assert world.redrive().tallies[place].back == 1
    assert world.redrive().tallies[place].before == 1
    assert world.functions.asked == [(room, {"Records": [record]})] * 3
