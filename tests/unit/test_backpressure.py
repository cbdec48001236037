"""Ten minutes without DynamoDB, or without concurrency: lanes slow down, lose and repeat nothing, recover.

The mappings' rules are the template's, the state machine is the poller's, the handlers are ours; DynamoDB is
in memory, and an invocation waits by a clock that jumps.
"""

import functools
import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.table_server import Table
from common.aws import Backoff, RemainingMs
from common.dynamodb import DynamoDB
from common.errors import ServiceError, TransientError
from monitor import handler as counting
from monitor.store import Store
from stream_features.events import decoder
from stream_features.handler import Runtime, apply_batch
from stream_features.spec import parse
from stream_features.state import decode_item, decode_out
from streamscore.local.delivery import Checkpoint, Deliver, GiveUp, Record, Refused, Wait
from streamscore.local.events import event_bytes
from streamscore.local.function_process import Outcome
from streamscore.local.mapping import Mapping, read_mapping
from streamscore.local.replies import read_reply
from streamscore.local.shard import Shard
from tests.decision_images import change, decision
from tests.stream_events import SHARD, kinesis_entry
from tests.unit.transformed_template import ROOT, of_type

START_MS = 1_764_000_000_000
OUTAGE_MS = START_MS + 60_000, START_MS + 660_000
EVERY_MS, AT_ONCE = 5_000, 12
RECOVERS_WITHIN_MS = 3_000
SPEC = parse((ROOT / "src/features.toml").read_text())
BUSY = partial(ServiceError, "x", "ProvisionedThroughputExceededException", "slow down", 400)


@dataclass
class Clock:
    """Time, as the sleeper and the poller see it."""

    now_ms: float = START_MS

    def sleep(self, seconds: float) -> None:
        self.now_ms += seconds * 1000

    @property
    def is_outage(self) -> bool:
        return OUTAGE_MS[0] <= self.now_ms < OUTAGE_MS[1]

    def backoff(self) -> Backoff:
        return Backoff(self.sleep, lambda: 0.5)


@dataclass
class Lane:
    """One shard under one mapping of the template, on that clock."""

    mapping: Mapping
    clock: Clock
    given_up: list[GiveUp] = field(default_factory=list)
    invocations: int = 0
    runs_nothing: bool = False  # in the outage Lambda has no room for the function

    def run(self, records: Sequence[Record], invoke: Callable[[Any, RemainingMs], Outcome]) -> None:
        """Until every record is over and every window closed."""
        shard, coming = Shard(self.mapping.rules, Checkpoint()), deque(records)
        while coming or not shard.empty or shard.has_open_window:
            here = []
            while coming and coming[0].arrival_ms <= self.clock.now_ms:
                here.append(coming.popleft())
            if here:
                shard.offer(here, here[-1].sequence, int(self.clock.now_ms))
            match shard.next(int(self.clock.now_ms), at_tip=True):
                case Deliver() as delivery:
                    self.invocations += 1
                    shard.settle(self._reply(delivery, invoke), int(self.clock.now_ms))
                case GiveUp() as given_up:
                    self.given_up.append(given_up)
                    shard.given_up()
                case Wait(until_ms=until_ms):
                    moments = [at for at in (until_ms, coming[0].arrival_ms if coming else None) if at]
                    self.clock.now_ms = max(self.clock.now_ms + 1, min(moments))

    def _reply(self, delivery: Deliver, invoke: Callable[[Any, RemainingMs], Outcome]) -> Any:
        if self.runs_nothing and self.clock.is_outage:
            return Refused()
        ends_ms = self.clock.now_ms + 1000 * TIMEOUT_S
        self.clock.now_ms += 20
        event = json.loads(event_bytes(self.mapping, SHARD, delivery))
        return read_reply(self.mapping.rules, delivery, invoke(event, lambda: ends_ms - self.clock.now_ms))


TIMEOUT_S = of_type("AWS::Lambda::Function")["StreamFeaturesFunction"]["Timeout"]


def lane(name: str, source: str, clock: Clock) -> Lane:
    declared = of_type("AWS::Lambda::EventSourceMapping")[name]
    deployed = {
        "EventSourceArn": source,
        "UUID": "u",
        "FunctionArn": "arn:aws:lambda:us-east-1:1:function:f",
        "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::b"}},
    }
    return Lane(read_mapping(name, declared, deployed), clock)


class Database(Table):
    """A table that `refuses` calls, or statements one by one, while its clock says outage."""

    def __init__(self, clock: Clock, refuses: Callable[[str], bool]) -> None:
        super().__init__()
        self.clock, self.refuses = clock, refuses
        self.rows: Counter[str] = Counter()
        self.calls_refused = self.writes = 0

    def each(self, operation: str, requests: Sequence[Any], most: int) -> list[Callable[[], Any]]:
        return [partial(self._call, operation, request) for request in requests]

    def _call(self, operation: str, request: Any) -> Any:
        if self.clock.is_outage and self.refuses(operation):
            self.calls_refused += 1
            raise BUSY()
        return getattr(self, operation)(request)

    def _execute(self, text: str, parameters: list[Any]) -> dict[str, Any]:
        if self.clock.is_outage and self.refuses("statement"):
            return {"Error": {"Code": "ThrottlingError"}}
        answer = super()._execute(text, parameters)
        if "Error" not in answer:
            self.writes += 1
            inserts = text.startswith("INSERT")
            if "out" in text and "REMOVE" not in text:
                out = parameters[5 if inserts else 4]["B"]
                self.rows.update(row.id for row in decode_out(out).rows)
        return answer

    def states(self) -> dict[str, bytes]:
        return {pk: decode_item(self._stored(item), 0).blob for pk, item in self.items.items()}

    @staticmethod
    def _stored(item: Any) -> Any:
        return SimpleNamespace(v=int(item["v"]["N"]), w=item["w"]["B"], s=item["s"]["B"])


def events() -> list[Record]:
    """A lane's load before, during and after the outage."""
    made = []
    for n in range(AT_ONCE * (OUTAGE_MS[1] + 60_000 - START_MS) // EVERY_MS):
        at_ms = START_MS + n // AT_ONCE * EVERY_MS
        event = {
            "transaction_id": f"e{n}",
            "event_time": at_ms,
            "customer_id": f"c{n % 40}",
            "terminal_id": f"t{n % 7}",
            "amount": n,
        }
        entry = kinesis_entry(json.dumps(event).encode(), n + 1, at_ms)
        made.append(Record(str(n + 1), at_ms, json.dumps(entry).encode()))
    return made


def features(clock: Clock, database: Database, *, runs_nothing: bool = False) -> Lane:
    """The features lane over that table."""
    nowhere: Any = None  # every record is good
    runtime = Runtime(SPEC, decoder(SPEC), DynamoDB(database, backoff=clock.backoff()), "state", nowhere)

    def invoke(event: Any, remaining_ms: RemainingMs) -> Outcome:
        return Outcome(json.dumps(apply_batch(event, runtime, remaining_ms)).encode(), failed=False)

    running = lane("StreamFeaturesFunctionRecords", "arn:aws:kinesis:us-east-1:1:stream/events", clock)
    running.runs_nothing = runs_nothing
    running.run(events(), invoke)
    return running


@functools.cache
def quiet() -> tuple[Lane, Database]:
    clock = Clock()
    database = Database(clock, lambda _: False)
    return features(clock, database), database


def most_statements(seed: int) -> Callable[[str], bool]:
    draw = Random(seed)
    return lambda what: what == "statement" and draw.random() < 0.97


OUTAGES: dict[str, Callable[[str], bool]] = {
    "every call": lambda _: True,
    "reads": lambda what: what == "batch_get_item",
    "writes": lambda what: what == "batch_execute_statement",
    "most statements": most_statements(1),
}


@pytest.mark.parametrize("refuses", OUTAGES.values(), ids=OUTAGES)
def test_ten_minutes_of_throttling_lose_nothing_repeat_nothing_and_are_soon_over(
    refuses: Callable[[str], bool],
) -> None:
    clock = Clock()
    database = Database(clock, refuses)
    running, (undisturbed, whole) = features(clock, database), quiet()
    assert running.given_up == []
    assert (database.rows, database.states()) == (whole.rows, whole.states())
    assert set(database.rows.values()) == {1}
    assert database.writes <= whole.writes, "a longer batch needs fewer writes, and none is done twice"
    assert running.invocations < undisturbed.invocations, "it waits inside, not by being invoked again"
    assert database.calls_refused < 2 * 600, "and asks less than twice a second"
    assert clock.now_ms - undisturbed.clock.now_ms < RECOVERS_WITHIN_MS


def test_ten_minutes_without_concurrency_lose_nothing_either() -> None:
    clock = Clock()
    database = Database(clock, lambda _: False)
    running, (undisturbed, whole) = features(clock, database, runs_nothing=True), quiet()
    assert running.given_up == []
    assert (database.rows, database.states()) == (whole.rows, whole.states())
    assert clock.now_ms - undisturbed.clock.now_ms < RECOVERS_WITHIN_MS


def test_a_monitor_that_cannot_write_for_ten_minutes_counts_every_decision_in_the_end() -> None:
    clock, written = Clock(), {}

    def put_item(**request: Any) -> dict[str, Any]:
        if clock.is_outage:
            raise BUSY()
        written[request["Item"]["sk"]["S"]] = int(request["Item"]["decided"]["N"])
        return {}

    def gone(**_: Any) -> Any:
        raise BUSY()

    clients = (
        SimpleNamespace(put_item=put_item),
        SimpleNamespace(get_object=gone),
        SimpleNamespace(get_parameters=gone),
    )
    store = Store("windows", "bucket", "/p", clients)

    def invoke(event: Any, remaining_ms: RemainingMs) -> Outcome:
        work = partial(counting.count_batch, event, store, clock.now_ms / 1000)
        try:
            answer = counting.patiently(work, remaining_ms, clock.backoff())
        except TransientError as error:
            return Outcome(str(error).encode(), failed=True)
        return Outcome(json.dumps(answer).encode(), failed=False)

    made = [change(decision(f"e{n}", model=None), sequence=n + 1) for n in range(150)]
    records = [
        Record(str(n + 1), START_MS + 5_000 * n, json.dumps(one).encode()) for n, one in enumerate(made)
    ]
    running = lane("MonitorWindowsFunctionDecisions", "arn:aws:dynamodb:us-east-1:1:table/d/stream/x", clock)
    running.run(records, invoke)
    assert running.given_up == []
    assert sum(written.values()) == 150
    assert running.invocations < 200, "it waits inside"
