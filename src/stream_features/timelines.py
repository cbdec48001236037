"""Entries of many entities in one array, by (entity, time, arrival), and how windows are cut from it."""

from functools import cached_property

import numpy as np

from stream_features.columns import Bools, Ints
from stream_features.ranges import Whole, spread
from stream_features.states import runs
from stream_features.tiles import grain_ms, rounded_down


class Merge:
    """Puts an entity's new entries behind its old ones, for all entities at once."""

    def __init__(self, old_counts: Ints, new_counts: Ints) -> None:
        self.counts = old_counts + new_counts
        self._old_counts, self._new_counts = old_counts, new_counts

    @cached_property
    def new_at(self) -> Ints:
        """Where the new entries are."""
        return spread(self.counts.cumsum() - self._new_counts, self._new_counts)

    @cached_property
    def _order(self) -> Ints:
        """Where each merged entry lies in the old ones followed by the new ones."""
        old, new = self._old_counts.cumsum(), self._new_counts.cumsum()
        first = np.stack((old - self._old_counts, new - self._new_counts + old[-1:]), axis=1)
        return spread(first.ravel(), np.stack((self._old_counts, self._new_counts), axis=1).ravel())

    def of(self, old: Whole, new: Whole) -> Whole:
        """The merged array."""
        if not len(old):
            return new
        return np.concatenate((old, new)).take(self._order) if len(new) else old


class Timeline:
    """Entries of many entities, run after run of `counts`, each sorted by time; searchable by both."""

    def __init__(self, counts: Ints, time_ms: Ints, span: tuple[int, int]) -> None:
        self.counts, self.time_ms = counts, time_ms
        self.ends = counts.cumsum()
        self.starts = self.ends - counts
        self._origin_ms, self._span_ms = span

    @cached_property
    def groups(self) -> Ints:
        """The entity of each entry."""
        return runs(self.counts)

    @cached_property
    def _keys(self) -> Ints:
        return self.groups * self._span_ms + (self.time_ms - self._origin_ms)

    def first(self, groups: Ints, time_ms: Ints) -> Ints:
        """For each query the number of entries of earlier entities, and of its own before `time_ms`."""
        if not len(self.time_ms):
            return np.zeros(len(groups), np.int64)
        offset = np.minimum(np.maximum(time_ms - self._origin_ms, 0), self._span_ms - 1)
        return self._keys.searchsorted(groups * self._span_ms + offset)

    def before(self, groups: Ints, places: Ints, none_ms: Ints | int) -> Ints:
        """The time of the entry before each place, `none_ms` where that is no entry of the group."""
        if not len(self.time_ms):
            return np.zeros(len(groups), np.int64) + none_ms
        return np.where(places > self.starts[groups], self.time_ms[places - 1], none_ms)


def time_span(*times_ms: Ints) -> tuple[int, int]:
    """The first time of all, and how many distinct offsets `Timeline` needs for them."""
    filled = [times for times in times_ms if len(times)]
    origin_ms = min((int(times.min()) for times in filled), default=0)
    return origin_ms, max((int(times.max()) for times in filled), default=0) - origin_ms + 2


class Aged:
    """Of each entity some of its old entries, and behind them the raw ones that join them.

    Old ones are those from `old_from` to the run's end, raw ones those in [raw_from, raw_to).
    """

    def __init__(self, old: Timeline, old_from: Ints, raw_from: Ints, raw_to: Ints) -> None:
        old_counts, raw_counts = old.ends - old_from, np.maximum(raw_to - raw_from, 0)
        self._merge = Merge(old_counts, raw_counts)
        self.old, self.raw = spread(old_from, old_counts), spread(raw_from, raw_counts)
        self.groups = runs(self._merge.counts)

    def of(self, old: Whole, raw: Whole) -> Whole:
        """The entries, from values of the old ones and of the raw ones, both at `self.old`, `self.raw`."""
        return self._merge.of(old, raw)


class Cut:
    """Where windows begin and end in one kind of entries, as each of the new events finds them.

    A time is exact if it lies within the head, or nothing is tiled; else it is rounded down to a tile.
    """

    def __init__(self, at_ms: Ints, head_ms: Ints, tiled: Bools) -> None:
        self._at_ms, self._head_ms, self._tiled = at_ms, head_ms, tiled
        self._any = bool(tiled.any())

    def rounded(self, back_ms: int) -> Bools:
        """For which events the first instant after t - `back_ms` is rounded."""
        return self._tiled & (self._head_ms > self._at_ms - back_ms)

    def edge_ms(self, back_ms: int) -> Ints:
        """The first instant after t - `back_ms`."""
        edge_ms = self._at_ms - back_ms + 1
        if not self._any:
            return edge_ms
        return np.where(self.rounded(back_ms), rounded_down(edge_ms, grain_ms(back_ms)), edge_ms)
