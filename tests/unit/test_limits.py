"""What the table of limits in docs/operations.md promises, at sizes that a test can afford.

The sizes themselves: `benchmarks/limits.py`.
"""

import json
import unicodedata
from typing import Any

import pytest

from benchmarks.table_server import Table
from common.dynamodb import DynamoDB
from common.records import MAX_PARTITION_KEY, partition_of
from stream_features import handler
from stream_features.events import Event, decoder, event_hash
from stream_features.handler import Runtime, apply_batch
from stream_features.intake import take
from stream_features.spec import parse
from stream_features.state import Stored, decode_item
from stream_features.values import rfc3339_ms
from streamscore.local.delivery import Checkpoint, Deliver, Record, Rules, Succeeded
from streamscore.local.shard import Shard
from tests.folding import Folding
from tests.stream_events import kinesis_event

NOW_MS = 1_764_000_000_000
DAY_MS = 86_400_000
MIB = 1 << 20
SPEC = parse("""
[event]
id = "id"
time = "at"
fields = { amount = "int", note = "string?" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "count_{window}"
entity = "card"
op = "count"
windows = ["1d", "30d"]
[[feature]]
name = "sum"
entity = "card"
op = "sum"
of = "amount"
windows = ["1d"]
[[feature]]
name = "shops"
entity = "card"
op = "distinct"
of = "shop"
windows = ["30d"]
""")
GOOD = {"id": "e", "at": NOW_MS, "card": "c", "shop": "s", "amount": 3}


class InMemory(Table):
    """A state table in this process."""

    def each(self, operation: str, requests: Any, most: int) -> Any:
        return [lambda one=one: getattr(self, operation)(one) for one in requests]

    def blobs(self) -> dict[str, bytes]:
        found = {}
        for pk, item in self.items.items():
            stored = Stored(int(item["v"]["N"]), item["w"]["B"], item["s"]["B"])  # type: ignore[arg-type]
            found[pk] = decode_item(stored, 0).blob
        return found


def runtime(table: Table) -> Runtime:
    nowhere: Any = None
    return Runtime(SPEC, decoder(SPEC), DynamoDB(table), "state", nowhere)  # type: ignore[arg-type]


def taken(*records: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """The records that can be applied, and why the others cannot."""
    found = take(kinesis_event(records, NOW_MS), SPEC, decoder(SPEC))
    return list(found.delivery.records), [refused.reason for refused in found.refused]


def an_event(n: int, at_ms: int, shop: str = "s") -> Event:
    return Event(f"e{n}", event_hash(f"e{n}"), at_ms, at_ms, None, ("c", shop), (n, None), ())


# ---- large records ----


def test_records_of_a_megabyte_are_read_and_one_field_of_a_megabyte_is_refused() -> None:
    junk = "j" * (MIB - len(json.dumps({**GOOD, "junk": ""})))
    large = {**GOOD, "junk": junk}
    assert len(json.dumps(large)) == MIB
    assert [record.entities for record in taken(*[large] * 4)[0]] == [("c", "s")] * 4
    assert taken({**GOOD, "note": junk}) == ([], ["out_of_range"])


def test_of_five_hundred_records_of_a_megabyte_four_come_in_an_invocation() -> None:
    body = json.dumps(kinesis_event([b"j" * MIB], NOW_MS)["Records"][0]).encode()
    shard = Shard(Rules(batch_size=500), Checkpoint())
    shard.offer([Record(str(n), NOW_MS, body) for n in range(500)], "499", NOW_MS)
    counts = []
    while isinstance(delivery := shard.next(NOW_MS, at_tip=True), Deliver):
        counts.append(len(delivery.records))
        shard.settle(Succeeded(), NOW_MS)
    assert counts == [4] * 125


# ---- many of something ----


def test_a_day_of_one_entity_is_counted_exactly_in_a_state_that_does_not_grow_with_it() -> None:
    folding, sizes = Folding(SPEC), []
    for first in range(0, 6_000, 500):
        features = folding.fold([an_event(n, NOW_MS + n * 10_000) for n in range(first, first + 500)])
        sizes.append(len(folding.blobs[0, "c"]))
    assert features[-1].tolist() == [6_000, 6_000, sum(range(6_000)), 1]
    assert max(sizes) < 12_000, sizes


def test_of_more_shops_than_are_remembered_the_newest_count() -> None:
    folding, sizes = Folding(SPEC), []
    for first in range(0, 3_000, 500):
        features = folding.fold([an_event(n, NOW_MS + n, f"s{n}") for n in range(first, first + 500)])
        sizes.append(len(folding.blobs[0, "c"]))
    assert features[-1].tolist() == [3_000, 3_000, sum(range(3_000)), 128]
    assert sizes[-1] < 1.1 * sizes[1], sizes


def test_a_batch_of_nothing_but_new_entities_is_one_item_each() -> None:
    table = InMemory()
    batch = [{**GOOD, "id": f"e{n}", "card": f"c{n}", "shop": f"s{n}"} for n in range(500)]
    assert apply_batch(kinesis_event(batch, NOW_MS), runtime(table), lambda: 60_000) == {
        "batchItemFailures": []
    }
    assert len(table.items) == 1_000


# ---- clocks and calendars ----


def test_a_producers_clock_that_runs_ahead_is_refused_beyond_a_day_and_hides_no_event_after_it() -> None:
    ahead, beyond = ({**GOOD, "at": NOW_MS + DAY_MS + more} for more in (0, 1))
    assert taken(beyond)[1] == ["too_far_ahead"]
    assert len(taken(ahead)[0]) == 1
    folding = Folding(SPEC)
    folding.fold([an_event(1, NOW_MS), an_event(2, NOW_MS + DAY_MS)])
    [later] = folding.fold([an_event(4, NOW_MS + 1_000)])
    assert later.tolist()[:3] == [2, 2, 5], "what lies ahead of an event is not in its windows"


def test_the_clock_of_the_function_makes_no_difference_to_what_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kept(clock_ms: list[int]) -> dict[str, bytes]:
        table = InMemory()
        for n, now_ms in enumerate(clock_ms):
            monkeypatch.setattr(handler, "_now_ms", lambda now_ms=now_ms: now_ms)
            batch = [{**GOOD, "id": f"{n}/{k}", "at": NOW_MS + n, "shop": f"s{k}"} for k in range(3)]
            answer = apply_batch(
                kinesis_event(batch, NOW_MS, first=100 * n + 1), runtime(table), lambda: 60_000
            )
            assert answer == {"batchItemFailures": []}
        return table.blobs()

    assert kept([NOW_MS, NOW_MS - 9 * DAY_MS, NOW_MS + 9 * DAY_MS, 1]) == kept([NOW_MS] * 4)


def test_a_leap_day_is_a_day_like_any_other_and_one_that_is_none_is_refused() -> None:
    moments = (
        "2024-02-28T23:00:00Z",
        "2024-02-29T00:30:00+02:00",
        "2024-02-29T22:29:59.999Z",
        "2024-03-01T00:00:00.001Z",
    )
    times = [rfc3339_ms(text, "at") for text in moments]
    features = Folding(SPEC).fold([an_event(n, at) for n, at in enumerate(sorted(times))])
    assert [row[0] for row in features.tolist()] == [1, 2, 3, 2]
    for text in ("2023-02-29T00:00:00Z", "2024-02-30T00:00:00Z", "2016-12-31T23:59:60Z"):
        assert taken({**GOOD, "at": text})[1] == ["bad_time"]


# ---- ids ----


def test_ids_are_text_as_it_was_written_also_where_it_looks_the_same() -> None:
    composed, apart = (unicodedata.normalize(form, "é😀ß") for form in ("NFC", "NFD"))
    records, refused = taken(*({**GOOD, "card": card} for card in (composed, apart, " c", "c", "C")))
    assert [record.entities[0] for record in records] == [composed, apart, " c", "c", "C"]
    assert refused == []


@pytest.mark.parametrize("character", ["x", "é", "😀"])
def test_an_id_takes_a_kilobyte_and_one_of_two_is_refused(character: str) -> None:
    longest = character * (1024 // len(character.encode()))
    records, refused = taken({**GOOD, "id": longest, "card": longest, "shop": longest})
    assert (len(records), refused) == (1, [])
    for name in ("id", "card", "shop"):
        for too_long in (longest + character, 2 * longest):
            assert taken({**GOOD, name: too_long})[1] == ["out_of_range"]
    placed = partition_of(longest)
    assert len(placed["PartitionKey"]) <= MAX_PARTITION_KEY
    assert ("ExplicitHashKey" in placed) is (len(longest) > MAX_PARTITION_KEY)
