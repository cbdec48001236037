"""Answers about many ranges [start, end) of one array at once: totals, extremes, distinct values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_features.columns import Bools, Ints

Whole = NDArray[Any]
"""int64, or object with Python integers."""

_SCANNED = 8  # ranges together this many times as long as the array are scanned, longer ones use a table
_LEAST_SLOTS = 2**13
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)


def spread(first: Ints, counts: Ints) -> Ints:
    """The indices of many ranges: `counts[i]` from `first[i]` on, one range after the other."""
    indices: Ints = np.repeat(first - counts.cumsum() + counts, counts)
    indices += np.arange(len(indices))
    return indices


def short(start: Ints, end: Ints, size: int) -> bool:
    """Whether it is quicker to look at every entry of the ranges of an array of this size."""
    return int((end - start).sum()) <= _SCANNED * size


def running(values: Whole, bound: float) -> Whole:
    """Running sums from 0, one longer than `values`; a range's total is a difference of two.

    `bound` is at least the total of any range that will be asked for, in absolute value. Up to 2^63 the
    differences are exact even if the sums themselves wrap around; above, Python integers are summed.
    """
    exact: type = object if values.dtype == object or bound >= 2.0**62 else np.int64
    sums: Whole = np.zeros(len(values) + 1, exact)
    np.cumsum(values.astype(exact, copy=False), out=sums[1:])
    return sums


def extremes(values: Ints, start: Ints, end: Ints, ufunc: np.ufunc, nothing: int) -> Ints:
    """`ufunc` (np.minimum or np.maximum) over each range, `nothing` over an empty one."""
    if not short(start, end, len(values)):
        return _extremes_by_table(values, start, end, ufunc, nothing)
    cuts = np.stack((start, end), axis=1).ravel()
    found: Ints = ufunc.reduceat(np.append(values, nothing), cuts)[::2]
    return np.where(start < end, found, nothing)


def _extremes_by_table(values: Ints, start: Ints, end: Ints, ufunc: np.ufunc, nothing: int) -> Ints:
    """A range of n values is the union of two of 2^k, k = ⌊log2 n⌋: those are tabled level by level."""
    answer = np.full(len(start), nothing, np.int64)
    level = np.frexp((end - start).astype(np.float64))[1] - 1
    level[end <= start] = -1
    table, size = values, 1
    for k in range(int(level.max(initial=-1)) + 1):
        if k:
            table = ufunc(table[:-size], table[size:])
            size *= 2
        asked = np.flatnonzero(level == k)
        answer[asked] = ufunc(table[start[asked]], table[end[asked] - size])
    return answer


def last_alike(groups: Ints, values: Ints) -> Bools:
    """Which entries are the last of their group and value (of 32 bits)."""
    return _last_alike(groups << 32 | values & 0xFFFFFFFF, _MULTIPLIERS)


def _last_alike(keys: Ints, multipliers: Sequence[int]) -> Bools:
    """A hash table: of the keys in a slot the last stays; those unlike it try again by another hash."""
    if not multipliers:
        flags = np.zeros(len(keys), np.bool_)
        flags[len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]] = True
        return flags
    bits = max(2 * len(keys), _LEAST_SLOTS).bit_length()
    hashes = (keys.view(np.uint64) * np.uint64(multipliers[0])) >> np.uint64(64 - bits)
    slots, places = hashes.view(np.int64), np.arange(len(keys), dtype=np.int32)
    table = np.full(2**bits, -1, np.int32)
    np.maximum.at(table, slots, places)
    last = table.take(slots)
    found: Bools = last == places
    others = np.flatnonzero(keys.take(last) != keys)
    if len(others):
        found[others] = _last_alike(keys[others], multipliers[1:])
    return found


def most(values: Whole) -> int:
    """The largest absolute value, 0 of none; that of NULL is 2^63."""
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def previous(groups: Ints, values: Ints) -> Ints:
    """The index of the entry before each with the same group and value, -1 if there is none.

    Entries are sorted by group.
    """
    order, alike = _by_hash(groups, values)
    first, second = order[:-1], order[1:]
    same = (groups[second] == groups[first]) & (values[second] == values[first])
    if not np.array_equal(same, alike):  # two pairs of one hash
        order = np.lexsort((values, groups))
        first, second = order[:-1], order[1:]
        same = (groups[second] == groups[first]) & (values[second] == values[first])
    before = np.full(len(values), -1, np.int64)
    before[second[same]] = first[same]
    return before


def _by_hash(groups: Ints, values: Ints) -> tuple[Ints, Bools]:
    """Indices by a hash of group and value, then by themselves; and which neighbours share a hash.

    Hash and index fit one number, and to sort numbers is several times quicker than to sort indices.
    """
    bits = np.uint64(max(len(groups).bit_length(), 1))
    mixed = groups.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + values.view(np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = ((mixed >> bits) << bits) | np.arange(len(groups), dtype=np.uint64)
    keys.sort()
    hashes = keys >> bits
    return (keys & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64), hashes[1:] == hashes[:-1]


def distinct_listed(values: Ints, start: Ints, end: Ints) -> Ints:
    """How many distinct values (of 32 bits) each range holds; the time is that of listing them all."""
    counts = end - start
    ranges = np.repeat(np.arange(len(counts)), counts)
    upto = np.append(0, last_alike(ranges, values.take(spread(start, counts))).cumsum())
    ends = counts.cumsum()
    found: Ints = upto[ends] - upto[ends - counts]
    return found


def distinct(before: Ints, start: Ints, end: Ints) -> Ints:
    """How many distinct values each range holds; `before` is from `previous`.

    Starts and ends must not decrease from one range to the next. A pair of neighbours (p, j) of one value is
    one too many for the ranges that hold both, and those are consecutive: one difference array counts them.
    """
    later = np.flatnonzero(before >= 0)
    first = np.searchsorted(end, later, side="right")
    last = np.searchsorted(start, before[later], side="right")
    both = first < last
    change = np.bincount(first[both], minlength=len(start) + 1)
    change -= np.bincount(last[both], minlength=len(start) + 1)
    found: Ints = np.maximum(end - start - np.cumsum(change)[:-1], 0)
    return found


def recent_from(groups: Ints, before: Ints, most: int) -> Ints:
    """For each entry where, in its group, the shortest run before it begins that has `most` distinct values.

    The group's start if there are fewer. A value is among the `most` seen last if it occurs from there on.
    """
    starts = np.searchsorted(groups, groups, side="left")
    found = starts.copy()
    crowded: Bools = np.arange(len(groups)) - starts >= most
    for group in np.unique(groups[crowded]).tolist():
        first, stop = np.searchsorted(groups, [group, group + 1]).tolist()
        found[first:stop] = _two_pointers(before[first:stop] - first, most) + first
    return found


def _two_pointers(before: Ints, most: int) -> Ints:
    """`recent_from` of one group, whose entries number from 0."""
    previous_of = before.tolist()
    following = [len(previous_of)] * len(previous_of)
    for at, earlier in enumerate(previous_of):
        if earlier >= 0:
            following[earlier] = at
    run, inside, found = 0, 0, []
    for at, earlier in enumerate(previous_of):
        found.append(run)
        inside += earlier < run  # the entry itself joins the run that ends with it
        while inside > most or (inside == most and following[run] <= at):
            inside -= following[run] > at
            run += 1
    return np.array(found, np.int64)
