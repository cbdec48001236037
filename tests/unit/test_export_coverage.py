"""Which exports are read, and which are made: together they cover what is asked for, in lengths AWS takes."""

from hypothesis import given
from hypothesis import strategies as st

from streamscore.decided.coverage import (
    LONGEST_MS,
    SHORTEST_MS,
    Export,
    Stretch,
    gaps,
    to_read,
    windows,
)

HOUR_MS = 3_600_000


def incremental(from_h: float, to_h: float) -> Export:
    return Export(f"{from_h}-{to_h}", int(from_h * HOUR_MS), int(to_h * HOUR_MS), 1, "")


def full(at_h: float) -> Export:
    return Export(f"full-{at_h}", None, int(at_h * HOUR_MS), 1, "")


hours = st.integers(0, 20)
exports = st.lists(
    st.one_of(
        st.tuples(hours, hours).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: incremental(*pair)),
        hours.map(full),
    ),
    max_size=6,
    unique_by=lambda e: e.id,
)
stretches = st.tuples(hours, hours).map(lambda pair: Stretch(min(pair) * HOUR_MS, max(pair) * HOUR_MS))


def covered_hours(some: list[Export]) -> set[int]:
    return {hour for e in some for hour in range((e.from_ms or 0) // HOUR_MS, e.to_ms // HOUR_MS)}


@given(exports, stretches)
def test_gaps_are_the_hours_that_no_export_holds(some: list[Export], wanted: Stretch) -> None:
    asked = set(range(wanted.from_ms // HOUR_MS, wanted.to_ms // HOUR_MS))
    found = gaps(some, wanted)
    assert [h for g in found for h in range(g.from_ms // HOUR_MS, g.to_ms // HOUR_MS)] == sorted(
        asked - covered_hours(some)
    )
    assert all(gap.from_ms < gap.to_ms for gap in found)


@given(exports, stretches)
def test_what_is_read_covers_all_that_could_be(some: list[Export], wanted: Stretch) -> None:
    read = to_read(some, wanted.from_ms)
    assert gaps(read, wanted) == gaps(some, wanted)
    assert [e.to_ms for e in read] == sorted(e.to_ms for e in read)


@given(exports, hours)
def test_the_newest_word_on_every_moment_is_read(some: list[Export], since_h: int) -> None:
    """Whatever was written at a moment since then is in an export that is read, if it is in any; and so is
    what was written after it, to the end of the newest export that holds it: the label that came last.
    """
    read = to_read(some, since_h * HOUR_MS)
    for hour in range(since_h, 20):
        holding = [e.to_ms for e in some if (e.from_ms or 0) <= hour * HOUR_MS < e.to_ms]
        assert not holding or gaps(read, Stretch(hour * HOUR_MS, max(holding))) == []


def test_a_full_export_is_read_only_where_incremental_ones_leave_a_gap() -> None:
    old, whole, new = incremental(0, 5), full(6), incremental(6, 9)
    assert to_read([old, whole, new], 0) == [whole, new]
    assert to_read([old, whole, new], 6 * HOUR_MS) == [new]
    assert to_read([incremental(0, 6), whole, new], 0) == [incremental(0, 6), new]


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_windows_cover_a_gap_in_lengths_that_dynamodb_exports(from_ms: int, length_ms: int) -> None:
    gap = Stretch(10**12 + from_ms, 10**12 + from_ms + length_ms)
    made = list(windows(gap))
    assert gaps([Export("", *window, 1, "") for window in made], gap) == []
    assert all(SHORTEST_MS <= w.to_ms - w.from_ms <= LONGEST_MS for w in made)
    assert all(w.from_ms % 1000 == w.to_ms % 1000 == 0 for w in made)
    assert made[-1].to_ms < gap.to_ms + 1000
