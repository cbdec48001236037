"""Single verdicts, where the model of schedules would only say that something is wrong."""

from collections.abc import Sequence

import pytest

from stream_features.events import Event, Label
from stream_features.state import Item, Order
from stream_features.verdict import REMEMBERED_IDS, Delivery, Settled, Verdict, settle
from tests.exactly_once import event, label

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
    result = settled([event("a", 1, "C", redrive=True)], items, first=7)
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
    assert len(items["customer#C"].labels) == 16


def test_the_newest_ids_by_arrival_are_remembered_late_events_too(items):
    names = [chr(ord("a") + n) for n in range(REMEMBERED_IDS + 1)]
    settled([event(name, -n, "C") for n, name in enumerate(names)], items)
    assert settled([event(names[1], 0, "C")], items, first=900).verdicts == [DUPLICATE]
    assert settled([event(names[0], 0, "C")], items, first=901).verdicts == [NEW]
    assert len(items["customer#C"].ids) == REMEMBERED_IDS * 8
