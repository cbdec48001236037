"""The union of an entity's items is what one item would hold."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_features.any_order import History
from stream_features.events import Event, Label
from stream_features.layout import layouts
from stream_features.merging import Pieces, merge, merged
from stream_features.spec_model import Spec
from tests.folding import Folding
from tests.profiles import examples
from tests.unit.test_kernel_tiles import DAY, FEATURES, HOUR, MEANS, MINUTE, T0, histories, made, spec

EXACT = tuple(f for f in FEATURES if f.op not in {"distinct", "is_new"})


def in_order(records: Sequence[Event | Label]) -> list[Event | Label]:
    """Events in the order of their times, one an instant, and labels behind them in that of theirs."""
    events = {r.time_ms: r for r in records if isinstance(r, Event) and r.entities[0] == "a"}
    labels = {r.time_ms: r for r in records if isinstance(r, Label) and r.entities[0] == "a" and r.label}
    one_each = {label.id: label for label in labels.values()}
    return [
        *sorted(events.values(), key=lambda r: r.time_ms),
        *sorted(one_each.values(), key=lambda r: r.time_ms),
    ]


def dealt(of: Spec, records: Sequence[Event | Label], homes: Sequence[int]) -> list[bytes]:
    """The states of items that each got some of the records; home n is the nth record's."""
    parts = [Folding(of) for _ in range(4)]
    for number, part in enumerate(parts):
        if own := [r for r, home in zip(records, homes, strict=False) if home == number]:
            part.fold(own)
    return [part.blobs.get((0, "a"), b"") for part in parts]


few = settings(max_examples=examples(30))
homes = st.lists(st.integers(0, 3), min_size=60, max_size=60)


@few
@given(records=histories(40), homes=homes, exact=st.integers(1, 12))
def test_the_union_of_parts_is_the_state_of_one_item_that_got_all(records, homes, exact):
    of, records = spec(exact, EXACT), in_order(records)
    whole = Folding(of)
    whole.fold(records)
    assert merge(of, "card", dealt(of, records, homes)) == whole.blobs.get((0, "a"), b"")


@few
@given(records=histories(40), homes=homes, exact=st.integers(1, 12))
def test_what_is_remembered_of_values_is_the_same_too(records, homes, exact):
    of, records = spec(exact), in_order(records)
    whole = Folding(of)
    whole.fold(records)
    found, wanted = (
        History.from_blob(layouts(of)[0], blob)
        for blob in (merge(of, "card", dealt(of, records, homes)), whole.blobs.get((0, "a"), b""))
    )
    assert [sorted(memory) for memory in found.memories] == [sorted(memory) for memory in wanted.memories]


@few
@given(records=histories(40), homes=homes, exact=st.integers(1, 12))
def test_means_are_those_of_one_item_but_for_their_last_bits(records, homes, exact):
    """Within 90 days: after a gap of that an item starts anew, wherever the others' events lie."""
    records = [r for r in in_order(records) if isinstance(r, Event) and r.time_ms < T0 + 90 * DAY]
    of = spec(exact, MEANS)
    whole = Folding(of)
    whole.fold(records)
    found, wanted = (
        History.from_blob(layouts(of)[0], blob)
        for blob in (merge(of, "card", dealt(of, records, homes)), whole.blobs.get((0, "a"), b""))
    )
    assert found.head_ms == wanted.head_ms
    for one, two in zip([*found.tail, *found.current], [*wanted.tail, *wanted.current], strict=True):
        size = 2.0**54 * max(two.weight, 1e-300)
        assert math.isclose(one.weight, two.weight, rel_tol=1e-9, abs_tol=1e-300)
        assert math.isclose(one.weighted, two.weighted, rel_tol=1e-9, abs_tol=1e-9 * size)


@few
@given(records=histories(40), homes=homes, exact=st.integers(1, 12))
def test_many_entities_at_once_are_merged_as_each_alone(records, homes, exact):
    of = spec(exact, FEATURES + MEANS)
    some = dealt(of, [r for r in records if r.entities[0] == "a"], homes)
    layout = layouts(of)[0]
    together = merged(layout, [Pieces(some), Pieces(some[:1]), Pieces([b"", b""]), Pieces(some[2:])])
    alone = [merge(of, "card", part) for part in (some, some[:1], [b"", b""], some[2:])]
    assert together == alone


@few
@given(records=histories(40), exact=st.integers(1, 12))
def test_one_item_alone_or_beside_empty_ones_is_itself(records, exact):
    of, records = spec(exact, FEATURES + MEANS), in_order(records)
    whole = Folding(of)
    whole.fold(records)
    blob = whole.blobs.get((0, "a"), b"")
    assert merge(of, "card", [b"", blob, b""]) == blob


def label(name: str, minute: int, told: bool = True) -> Label:
    at = T0 + minute * MINUTE
    return Label(name, hash(name), at, 0, told, at, ("a", "x"))


@pytest.mark.parametrize("exact", [1, 2, 8])
@pytest.mark.parametrize("withdrawn", [[1], [2], [1, 3], [3, 2, 1]])
def test_a_positive_taken_back_in_another_item_is_gone_from_the_union(exact, withdrawn):
    of = spec(exact, (made(op="label_count", window_ms=DAY),))
    labels = [label(str(n), n) for n in (1, 2, 3)]
    parts = dealt(of, labels, [0, 1, 0])
    times = [T0 + minute * MINUTE for minute in withdrawn]
    history = History.from_blob(layouts(of)[0], merge(of, "card", parts, times))
    assert len(history.positives) + sum(history.positive_tiles.values()) == 3 - len(withdrawn)


def test_an_event_older_than_the_head_of_an_item_with_tiles_goes_to_a_tile():
    """A: six events, two of them exact; B: one between A's tiled ones. The union cannot know their order."""
    of = spec(2, (made(op="count", window_ms=30 * DAY),))
    times = [T0 + n * HOUR for n in range(6)]
    a, b = Folding(of), Folding(of)
    a.fold([Event("", 0, at, 0, None, ("a", "x"), (1, 1, None), ()) for at in times])
    wide = spec(8, (made(op="count", window_ms=30 * DAY),))
    b.fold([Event("", 0, T0 + HOUR + 1, 0, None, ("a", "x"), (1, 1, None), ())])
    united = merge(wide, "card", [a.blobs[0, "a"], b.blobs[0, "a"]])
    history = History.from_blob(layouts(wide)[0], united)
    assert history.head_ms == times[-2:]
    assert sum(row[0] for row in history.tiles.values()) == 5


def test_of_events_at_one_instant_those_of_the_earlier_item_come_first():
    of = spec(8, (made(op="last", of="n"),))
    parts = []
    for value in (1, 2):
        part = Folding(of)
        part.fold([Event("", 0, T0, 0, None, ("a", "x"), (0, value, None), ())])
        parts.append(part.blobs[0, "a"])
    for order, last in ((parts, 2), (parts[::-1], 1)):
        after = Folding(of, {(0, "a"): merge(of, "card", order)})
        found = after.fold([Event("", 0, T0 + 1, 0, None, ("a", "x"), (0, 3, None), ())])
        assert found.tolist() == [[np.float32(last)]]
