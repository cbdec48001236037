"""Answers about ranges, each against the plain definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features import ranges

arrays = st.lists(st.integers(0, 4), min_size=1, max_size=30)


@st.composite
def cuts(draw, size: int, *, sliding: bool = False) -> tuple[list[int], list[int]]:
    pairs = draw(st.lists(st.tuples(st.integers(0, size), st.integers(0, size)), min_size=1, max_size=10))
    starts, ends = [min(pair) for pair in pairs], [max(pair) for pair in pairs]
    return (sorted(starts), sorted(ends)) if sliding else (starts, ends)


@given(values=arrays, data=st.data())
def test_extremes_are_those_of_each_slice(values, data):
    starts, ends = data.draw(cuts(len(values)))
    for ufunc, plain in ((np.minimum, min), (np.maximum, max)):
        wanted = [plain(values[a:b], default=-9) for a, b in zip(starts, ends, strict=True)]
        for way in (ranges.extremes, ranges._extremes_by_table):
            assert way(np.array(values), np.array(starts), np.array(ends), ufunc, -9).tolist() == wanted


@given(values=arrays, data=st.data())
def test_distinct_counts_the_values_of_sliding_slices(values, data):
    starts, ends = data.draw(cuts(len(values), sliding=True))
    before = ranges.previous(np.zeros(len(values), np.int64), np.array(values))
    found = ranges.distinct(before, np.array(starts), np.array(ends))
    assert found.tolist() == [len(set(values[a:b])) for a, b in zip(starts, ends, strict=True)]


@given(values=arrays, data=st.data())
def test_distinct_values_are_counted_by_listing_any_slices(values, data):
    starts, ends = data.draw(cuts(len(values)))
    found = ranges.distinct_listed(np.array(values), np.array(starts), np.array(ends))
    assert found.tolist() == [len(set(values[a:b])) for a, b in zip(starts, ends, strict=True)]


@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1]))))
def test_the_last_entry_alike_is_that_of_the_same_group_and_value(pairs):
    groups, values = (np.array([pair[n] for pair in pairs], np.int64) for n in (0, 1))
    wanted = [pair not in pairs[place + 1 :] for place, pair in enumerate(pairs)]
    assert ranges.last_alike(groups, values).tolist() == wanted


@pytest.mark.parametrize("multipliers", [(), (0,), (0, 0, 1)])
def test_the_last_entry_alike_is_found_when_hashes_are_the_same(monkeypatch, multipliers):
    """A hash that is always 0 stands for the rare case: what is not like the last is found otherwise."""
    monkeypatch.setattr(ranges, "_MULTIPLIERS", multipliers)
    found = ranges.last_alike(np.array([0, 0, 0, 1, 1, 0]), np.array([5, 6, 5, 5, 5, 6]))
    assert found.tolist() == [False, False, True, False, True, True]


@given(groups=arrays, data=st.data())
def test_previous_is_the_nearest_of_the_same_group_and_value(groups, data):
    groups = sorted(groups)
    values = data.draw(st.lists(st.integers(-2, 2), min_size=len(groups), max_size=len(groups)))
    pairs = list(zip(groups, values, strict=True))
    wanted = [max((j for j in range(i) if pairs[j] == pairs[i]), default=-1) for i in range(len(pairs))]
    assert ranges.previous(np.array(groups), np.array(values)).tolist() == wanted


def test_previous_holds_when_hashes_of_two_pairs_are_the_same(monkeypatch):
    """A hash that is always 0 stands for the rare case; the slower way must be taken then."""
    monkeypatch.setattr(
        ranges, "_by_hash", lambda groups, values: (np.arange(len(groups)), np.ones(len(groups) - 1, bool))
    )
    found = ranges.previous(np.array([0, 0, 0, 1]), np.array([5, 6, 5, 5]))
    assert found.tolist() == [-1, -1, 0, -1]


@given(groups=st.lists(st.integers(0, 1), min_size=1, max_size=40), most=st.integers(1, 4), data=st.data())
def test_recent_from_begins_the_shortest_run_that_holds_so_many_values(groups, most, data):
    groups = sorted(groups)
    values = data.draw(st.lists(st.integers(0, 5), min_size=len(groups), max_size=len(groups)))
    before = ranges.previous(np.array(groups), np.array(values))
    found = ranges.recent_from(np.array(groups), before, most)
    for i, group in enumerate(groups):
        run = range(groups.index(group), i)
        wanted = [m for m in run if len(set(values[m:i])) >= most]
        assert found[i] == (max(wanted) if wanted else groups.index(group))


def test_totals_beyond_64_bits_are_exact():
    sums = ranges.running(np.array([2**62, 2**62, 5]), 2.0**64)
    assert sums[3] - sums[0] == 2**63 + 5


def test_running_sums_may_wrap_around_when_the_totals_asked_for_are_small():
    values = np.full(8, 2**61)
    sums = ranges.running(values, 2.0**61)
    assert sums.dtype == np.int64
    assert (sums[1:] - sums[:-1]).tolist() == values.tolist()
