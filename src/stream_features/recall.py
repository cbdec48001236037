"""Which values an entity has seen: those of its memory and of its raw events, for many entities at once."""

from functools import cached_property

import numpy as np

from stream_features.blob import Series
from stream_features.columns import Bools, Ints
from stream_features.in_order import Merged
from stream_features.layout import Memory
from stream_features.ranges import previous
from stream_features.tiles import tiles_of
from stream_features.timelines import Merge, Timeline

REMEMBERED_VALUES = 128
"""How many values `distinct` and `is_new` know: those seen last."""


class Recall:
    """A memory's values and those of raw events, as one array by entity and time."""

    def __init__(self, merged: Merged, memory: Memory) -> None:
        old = merged.states.memories[merged.layout.memories.index(memory)]
        token = merged.columns[memory.column]
        self._places = np.flatnonzero(merged.known(memory.column, memory.flag))
        groups = merged.raw.groups[self._places]
        self.merge = Merge(old.counts, groups)
        self.time_ms = self.merge.of(old.time_ms, merged.raw_ms[self._places])
        self.tokens = self.merge.of(old.tracks[0], token[self._places])
        self.timeline = Timeline(self.merge.groups, self.time_ms, *merged.span)
        self._merged = merged

    @cached_property
    def before(self) -> Ints:
        """The entry before each with the same value, -1 if there is none."""
        return previous(self.merge.groups, self.tokens)

    @cached_property
    def own(self) -> tuple[Bools, Ints]:
        """Whether each new event has a value, and the index of it, or of the entry that would follow."""
        raw = self._merged.raw.new_at
        place = np.searchsorted(self._places, raw)
        has = np.append(self._places, -1)[place] == raw
        groups = self._merged.arrivals.event_groups
        return has, place + np.cumsum(self.merge.counts - self._raw_counts)[groups]

    @cached_property
    def _raw_counts(self) -> Ints:
        groups = self._merged.raw.groups[self._places]
        return np.bincount(groups, minlength=len(self.merge.counts)).astype(np.int64)

    def after(self, head_from: Ints, oldest_ms: Ints, clock_ms: Ints) -> Series:
        """What the memory holds when all has arrived and heads begin at `head_from` (raw entries)."""
        groups, counts = self.merge.groups, self.merge.counts
        last = np.ones(len(groups), np.bool_)
        last[self.before[self.before >= 0]] = False
        in_head = np.zeros(len(groups), np.bool_)
        in_head[self.merge.new_at] = self._places >= head_from[self._merged.raw.groups[self._places]]
        later = np.repeat(np.cumsum(np.bincount(groups[last], minlength=len(counts))), counts)
        rank = later - np.cumsum(last)
        kept = last & ~in_head & (self.time_ms >= oldest_ms[groups]) & (rank < REMEMBERED_VALUES)
        owners = groups[kept]
        times = tiles_of(self.time_ms[kept], clock_ms[owners])
        return Series(
            np.bincount(owners, minlength=len(counts)).astype(np.int64), times, (self.tokens[kept],)
        )
