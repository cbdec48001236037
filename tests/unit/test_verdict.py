"""Single verdicts, where the model of schedules would only say that something is wrong."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from stream_features.events import Event, Label
from stream_features.state import Item, Order
from stream_features.verdict import (
    ID_BYTES,
    LABEL_BYTES,
    REMEMBERED_IDS,
    REMEMBERED_LABELS,
    Delivery,
    Settled,
    Verdict,
    packed_id,
    packed_label,
    settle,
    settle_shared,
)
from tests.exactly_once_streams import event, label

NEW, DUPLICATE, REPLAY, REDRIVEN = Verdict
KEYS = ("customer#C", "terminal#T")


def settled(
    records: Sequence[Event | Label], items: dict[str, Item], first: int = 1, start: Order | None = None
) -> Settled:
    orders = [(first + n, 0) for n in range(len(records))]
    return settle(Delivery(0, start or orders[0], records, orders, [KEYS] * len(records)), items)


@pytest.fixture
def items() -> dict[str, Item]:
    return {key: Item() for key in KEYS}


def test_a_known_id_above_the_watermark_is_a_duplicate_for_every_entity(items):
    result = settled([event("a", 1, "C"), event("a", 1, "C")], items)
    assert result.verdicts == [NEW, DUPLICATE]
    assert result.applies == [[True, False], [True, False]]


def test_a_written_primary_passes_its_trailing_duplicates_and_notes_where_they_are(items):
    settled([event("a", 1, "C"), event("a", 1, "C")], items)
    assert items["customer#C"].mark == (2, 0)
    assert items["customer#C"].repeats == {(2, 0)}
    assert items["terminal#T"].mark == (1, 0)


def test_a_primary_that_only_repeats_is_not_changed(items):
    settled([event("a", 1, "C")], items)
    items["customer#C"].changed = False
    settled([event("a", 1, "C")], items, first=2)
    assert (items["customer#C"].changed, items["customer#C"].mark) == (False, (1, 0))


def test_a_noted_duplicate_stays_one_though_its_id_is_forgotten_until_a_batch_starts_beyond_it(items):
    settled([event("a", 1, "C"), event("a", 1, "C")], items)
    items["customer#C"].ids = b""
    assert settled([event("a", 1, "C")], items, first=2).verdicts == [DUPLICATE]
    settled([event("b", 1, "C")], items, first=3, start=(2, 0))
    assert items["customer#C"].repeats == {(2, 0)}
    settled([event("c", 1, "C")], items, first=4)
    assert items["customer#C"].repeats == frozenset()


def test_in_a_replay_each_item_answers_by_its_own_watermark(items):
    items["customer#C"].mark = (1, 0)
    result = settled([event("a", 1, "C")], items)
    assert result.verdicts == [REPLAY]
    assert result.applies == [[False], [True]]


def test_a_redriven_record_is_applied_only_where_its_id_is_unknown(items):
    settled([event("a", 1, "C")], items)
    items["terminal#T"] = Item()
    result = settled([replace(event("a", 1, "C"), redrive=True)], items, first=7)
    assert result.verdicts == [REDRIVEN]
    assert result.applies == [[False], [True]]


def test_an_event_and_its_label_are_not_taken_for_each_other(items):
    result = settled([event("a", 1, "C"), label("a", 1, "C"), label("a", 1, "C")], items)
    assert result.verdicts == [NEW, NEW, DUPLICATE]


def test_a_label_with_a_later_time_is_a_correction_and_an_earlier_one_is_not(items):
    first = label("a", 1, "C")
    later, earlier = (
        Label(first.id, first.id_hash, first.time_ms, 0, False, first.label_time_ms + d, first.entities)
        for d in (1, -1)
    )
    assert settled([first, later, earlier, first], items).verdicts == [NEW, NEW, DUPLICATE, DUPLICATE]
    assert len(items["customer#C"].labels) == LABEL_BYTES


def test_the_newest_ids_by_arrival_are_remembered_late_events_too(items):
    names = [chr(ord("a") + n) for n in range(REMEMBERED_IDS + 1)]
    settled([event(name, -n, "C") for n, name in enumerate(names)], items)
    assert settled([event(names[1], 0, "C")], items, first=900).verdicts == [DUPLICATE]
    assert settled([event(names[0], 0, "C")], items, first=901).verdicts == [NEW]
    assert len(items["customer#C"].ids) == REMEMBERED_IDS * ID_BYTES


def told(name: str, answer: bool, after_ms: int = 0) -> Label:
    first = label(name, 1, "C")
    times = first.time_ms, 0
    return Label(name, first.id_hash, *times, answer, first.label_time_ms + after_ms, first.entities)


def test_a_label_changes_the_known_positives_once_and_a_correction_takes_it_back(items):
    records = [
        event("a", 1, "C"),
        told("a", False),
        told("a", True, 1),
        told("a", True, 1),
        told("a", True, 2),
        told("a", False, 1),
        told("a", False, 3),
        told("a", True, 4),
    ]
    assert settled(records, items).deltas == [[0, 0, 1, 0, 0, 0, -1, 1]] * 2


@pytest.mark.parametrize("after_ms", [-1, 0])
def test_an_item_that_knows_a_label_its_primary_forgot_holds_on_to_what_it_knows(items, after_ms):
    settled([told("a", True)], items)
    items["customer#C"].labels = b""
    result = settled([told("a", False, after_ms), told("a", True, after_ms)], items, first=2)
    assert (result.verdicts, result.applies) == ([NEW, DUPLICATE], [[True, False], [True, False]])
    assert result.deltas == [[0, 0], [0, 0]]


def test_shared_items_settled_alone_get_the_changes_they_got_beside_their_primaries(items):
    records = [told("a", True), told("a", True), told("a", False, 1), told("b", True)]
    together = settled(records, items)
    delivery = Delivery(0, (1, 0), records, [(n + 1, 0) for n in range(4)], [KEYS] * 4)
    alone = settle_shared(delivery, {"terminal#T": Item()}, together.verdicts)
    assert alone.deltas == [[0, 0, 0, 0], [1, 0, -1, 1]]
    assert alone.deltas[1] == together.deltas[1]


def test_the_newest_labels_by_arrival_are_remembered_and_older_ones_count_again(items):
    names = [chr(ord("a") + n) for n in range(REMEMBERED_LABELS + 1)]
    settled([told(name, True) for name in names], items)
    result = settled([told(names[1], True), told(names[0], True)], items, first=900)
    assert result.deltas == [[0, 1], [0, 1]]
    assert len(items["customer#C"].labels) == REMEMBERED_LABELS * LABEL_BYTES


def test_an_id_takes_six_bytes_and_a_label_twelve_with_its_time_and_value():
    assert packed_id(0xFFFF_0102_0304_0506) == bytes([1, 2, 3, 4, 5, 6])
    entry = packed_label(7, 1_764_000_000_123, True)
    assert (len(entry), entry[:ID_BYTES]) == (LABEL_BYTES, packed_id(7))
    assert int.from_bytes(entry[ID_BYTES:]) == 2 * 1_764_000_000_123 + 1
    assert len(packed_label(7, 253_402_300_799_000_000, False)) == LABEL_BYTES
