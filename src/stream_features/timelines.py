"""Entries of many entities in one array, by (entity, time, arrival), and how windows are cut from it."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stream_features.blob import runs
from stream_features.columns import Bools, Ints
from stream_features.tiles import grain_ms, rounded_down


class Merge:
    """Puts an entity's new entries behind its old ones, for all entities at once."""

    def __init__(self, old_counts: Ints, new_groups: Ints, new_counts: Ints | None = None) -> None:
        if new_counts is None:
            new_counts = np.bincount(new_groups, minlength=len(old_counts)).astype(np.int64)
        self.counts = old_counts + new_counts
        self.starts = np.cumsum(self.counts) - self.counts
        self._old_counts, self._new_counts = old_counts, new_counts
        self.new_at = np.arange(len(new_groups)) + np.cumsum(old_counts)[new_groups]

    @cached_property
    def old_at(self) -> Ints:
        """Where the old entries are."""
        before = np.cumsum(self._new_counts) - self._new_counts
        return np.arange(int(self._old_counts.sum())) + np.repeat(before, self._old_counts)

    @cached_property
    def groups(self) -> Ints:
        """The entity of each merged entry."""
        return runs(self.counts)

    def of[T: np.generic](self, old: NDArray[T], new: NDArray[T]) -> NDArray[T]:
        """The merged array."""
        if len(old) == 0:
            return new
        merged = np.empty(len(old) + len(new), object if object in (old.dtype, new.dtype) else new.dtype)
        merged[self.old_at], merged[self.new_at] = old, new
        return merged


class Timeline:
    """Times of many entities, sorted by (entity, time), searchable by both."""

    def __init__(self, groups: Ints, time_ms: Ints, origin_ms: int, span_ms: int) -> None:
        self._origin_ms, self._span_ms = origin_ms, span_ms
        self._keys = groups * span_ms + (time_ms - origin_ms)

    def first(self, groups: Ints, time_ms: Ints) -> Ints:
        """For each query the number of entries of earlier entities, and of its own before `time_ms`."""
        offset = np.clip(time_ms - self._origin_ms, 0, self._span_ms - 1)
        return np.searchsorted(self._keys, groups * self._span_ms + offset, side="left")


def time_span(*times_ms: Ints) -> tuple[int, int]:
    """The first time of all, and how many distinct offsets `Timeline` needs for them."""
    filled = [times for times in times_ms if len(times)]
    origin_ms = min((int(times.min()) for times in filled), default=0)
    return origin_ms, max((int(times.max()) for times in filled), default=0) - origin_ms + 2


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
