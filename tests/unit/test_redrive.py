"""What redrive reads, what it puts back, and what it notes: the parts without a stack."""

import gzip
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError, RecordRefusedError
from common.quarantine import Quarantine
from common.records import Record as Raw
from common.records import Refused
from stream_features.events import decoder
from stream_features.spec import parse
from stream_features.verdict import REMEMBERED_IDS
from streamscore.local.delivery import GiveUp, Rules, Window
from streamscore.local.delivery import Record as Delivered
from streamscore.local.events import failure_record
from streamscore.local.mapping import Mapping
from streamscore.producer.stream import Record
from streamscore.redrive import again, strays
from streamscore.redrive.again import MAX_RECORD_BYTES, MOST_OF_AN_ENTITY, Origin, Returning, marked
from streamscore.redrive.progress import Progress
from streamscore.redrive.report import MOST_TOLD, Report
from streamscore.redrive.strays import Batch, Stray
from tests.stream_events import SHARD, aggregate, kinesis_entry

NOW_MS = 1_764_000_000_000
SPEC = parse("""
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "7d"
max_age = "3d"
keep = ["amount"]
fields = { amount = "decimal(2)", deep = "string? @ device.id" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "n"
entity = "card"
op = "count"
windows = ["1d"]
""")
GOOD = {"id": "e1", "at": NOW_MS, "card": "c1", "shop": "s1", "amount": 12.5}
ROOMS = {"f": "stream_features", "s": "scoring", "m": "monitor"}
KEY = Origin("quarantine/any", 0)


def back(data: bytes, now_ms: int = NOW_MS) -> Returning:
    return again.returning(SPEC, decoder(SPEC), KEY, data, now_ms)


# ---- what lies in the bucket ----


class Bucket:
    def put_object(self, **request: Any) -> dict[str, str]:
        self.key, self.body = request["Key"], request["Body"]
        return {}


def test_what_a_function_has_set_aside_is_read_line_by_line() -> None:
    bucket = Bucket()
    refused = [
        Refused(Raw(SHARD, str(n), 0, NOW_MS, data), reason, "why")
        for n, (data, reason) in enumerate([(b"\xff\x00{", "bad_json"), (b"{}", "missing_field")])
    ]
    Quarantine(lambda: bucket, "b", "stream_features").put(refused, lambda: 0)
    found = strays.read(bucket.key, bucket.body, ROOMS)
    assert found == [Stray("bad_json", b"\xff\x00{"), Stray("missing_field", b"{}")]


def given_up(name: str, bodies: list[dict[str, Any]], window: Window | None = None) -> bytes:
    """What Lambda leaves, as it does."""
    source = "kinesis:us-east-1:1:stream/e" if name == "f" else "dynamodb:us-east-1:1:table/t/stream/x"
    rules = Rules(tumbling_ms=300_000 if window else 0)
    mapping = Mapping("M", "u", f"arn:aws:{source}", f"arn:aws:lambda:us-east-1:1:function:{name}", rules)
    records = tuple(Delivered(str(n), NOW_MS, json.dumps(body).encode()) for n, body in enumerate(bodies))
    given = GiveUp(records, "RetryAttemptsExhausted", 101, errored=True, window=window)
    return failure_record(mapping, SHARD, given, "id", NOW_MS)


def test_a_batch_of_events_given_up_is_its_records_aggregates_taken_apart() -> None:
    good, broken = json.dumps(GOOD).encode(), aggregate(body=b"\xff")
    datas = [good, broken, aggregate(b"a", b"b"), good]
    body = given_up("f", [kinesis_entry(data, 7 + n, NOW_MS) for n, data in enumerate(datas)])
    found = strays.read("aws/lambda/u/x", body, ROOMS)
    assert found == [Stray("RetryAttemptsExhausted", data) for data in (good, broken, b"a", b"b", good)]


def test_a_batch_of_a_table_goes_to_its_function_without_the_window_it_was_in() -> None:
    record = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "NewImage": {}}}
    for name, room in (("s", "scoring"), ("m", "monitor")):
        window = Window(NOW_MS, b'{"first": "1"}') if name == "m" else None
        found = strays.read("aws/lambda/u/x", given_up(name, [record], window), ROOMS)
        assert found == Batch(room, "RetryAttemptsExhausted", {"Records": [record]})


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("quarantine/x", b"not gzip"),
        ("quarantine/x", gzip.compress(b"[]", mtime=0)),
        ("quarantine/x", gzip.compress(b'{"reason": "r", "payload": "?", "kind": "kinesis"}', mtime=0)),
        ("quarantine/x", gzip.compress(b'{"a": 1}' * 9, mtime=0)[:-9]),
        ("aws/lambda/x", b"{}"),
        ("aws/lambda/x", given_up("f", [{}]).replace(b'"payload"', b'"other"')),
        ("aws/lambda/x", given_up("f", [{}])),
        ("aws/lambda/x", given_up("s", [{}]).replace(b":function:s", b":function:strange")),
    ],
)
def test_what_is_no_object_of_ours_is_named(key: str, body: bytes) -> None:
    with pytest.raises(InvalidInputError, match=f"^{key}: not an object that redrive can read"):
        strays.read(key, body, ROOMS)


# ---- what goes back ----


@pytest.mark.parametrize(
    "text", ['{"id": "e1"}', '{"id": "e1"} \n', '{"redrive": false, "id": "e1" }', "{}", "{ }"]
)
def test_a_marked_record_is_what_it_was_and_says_that_it_is_put_back(text: str) -> None:
    again_ = json.loads(marked(text.encode()))
    assert again_ == {**json.loads(text), "redrive": True}


def test_numbers_keep_the_digits_they_were_sent_with() -> None:
    assert b'"amount": 12.50' in marked(b'{"amount": 12.50, "other": 1e400}')


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "bad_json"), (b"[1]", "not_an_object"), (b"{", "bad_json")]
)
def test_what_is_no_object_is_refused_still(data: bytes, reason: str) -> None:
    with pytest.raises(RecordRefusedError) as refused:
        back(data)
    assert refused.value.reason == reason


def test_a_record_goes_back_under_its_primary_entitys_key_and_may_have_grown_old() -> None:
    found = back(json.dumps(GOOD).encode(), NOW_MS + 30 * 86_400_000)
    assert (found.record.key, found.entities, found.record.is_label) == ("c1", ("c1", "s1"), False)
    assert decoder(SPEC).decode(found.record.data, NOW_MS).redrive


def test_of_a_record_that_is_too_long_with_its_mark_what_the_spec_reads_goes_back() -> None:
    longest = MAX_RECORD_BYTES - len("c1")
    record = {**GOOD, "device": {"id": "d", "x": 1}, "junk": ""}
    for over, kept in ((0, True), (1, False)):
        size = longest - len(again._MARK) + over
        record["junk"] = ""
        record["junk"] = "j" * (size - len(json.dumps(record)))
        data = json.dumps(record).encode()
        found = back(data)
        assert (b"junk" in found.record.data) is kept
        assert len(found.record.data) <= longest
        decoded = decoder(SPEC).decode(found.record.data, NOW_MS)
        assert decoded == decoder(SPEC).decode(marked(data), NOW_MS)


pairs = st.tuples(st.sampled_from("abcdefgh") | st.integers(0, 99).map(str), st.sampled_from("xy"))


@given(pairs=st.lists(pairs, max_size=120))
def test_requests_keep_the_order_and_may_each_be_sent_twice(pairs: list[tuple[str, str]]) -> None:
    some = [
        Returning(Origin("k", n), Record(0, card, b"data"), (card, shop))
        for n, (card, shop) in enumerate(pairs)
    ]
    found = list(again.requests(some))
    assert [one for request in found for one in request] == some
    for request in found:
        assert len({one.record.key for one in request}) == len(request)
        assert max(Counter(one.entities[1] for one in request).values()) <= MOST_OF_AN_ENTITY < REMEMBERED_IDS
    for request, after in zip(found, found[1:], strict=False):
        cards, shops = {one.record.key for one in request}, Counter(one.entities[1] for one in request)
        assert after[0].record.key in cards or shops[after[0].entities[1]] == MOST_OF_AN_ENTITY, (
            "it would fit"
        )


def test_a_request_holds_no_more_than_kinesis_takes() -> None:
    wide = [Returning(Origin("k", n), Record(0, f"c{n}", b"x"), (f"c{n}", f"s{n}")) for n in range(501)]
    assert [len(request) for request in again.requests(wide)] == [500, 1]
    large = [one._replace(record=one.record._replace(data=b"x" * 1_000_000)) for one in wide[:6]]
    assert [len(request) for request in again.requests(large)] == [4, 2]


# ---- what is noted ----


@given(rounds=st.lists(st.sets(st.integers(0, 20)), max_size=6))
def test_progress_is_what_was_done_whatever_the_order(rounds: list[set[int]]) -> None:
    progress, done = Progress("e"), set[int]()
    for some in rounds:
        progress.done(some)
        done |= some
    assert sorted(progress.open(21)) == sorted(set(range(21)) - done)
    assert len(progress.left) == len(set(progress.left))


def test_a_report_says_what_was_left_and_how_much_more() -> None:
    report = Report(dry_run=False)
    for n in range(MOST_TOLD + 3):
        report.tallies["quarantined by stream_features", "bad_json"].records += 1
        report.leave(
            ("quarantined by stream_features", "bad_json"), 1, f"quarantine/{n}", "bad_json: not JSON"
        )
    lines = list(report.lines())
    assert lines[0] == "quarantined by stream_features, bad_json: 23 records, 0 brought back, 23 left"
    assert lines[1] == "  left: quarantine/0: bad_json: not JSON"
    assert lines[-1] == "  and 3 more"
    assert json.loads(json.dumps(report.as_json()))["found"][0]["left"] == report.left == 23
    assert list(Report(dry_run=True).lines()) == ["nothing is set aside or given up"]
