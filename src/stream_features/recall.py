"""Which values an entity has seen: those of its memory and of its raw events, for many entities at once."""

from functools import cached_property

import numpy as np

from stream_features.columns import Bools, Ints
from stream_features.in_order import Merged
from stream_features.layout import Memory
from stream_features.ranges import distinct, distinct_listed, last_alike, previous, recent_from, short
from stream_features.states import runs
from stream_features.timelines import Merge

REMEMBERED_VALUES = 128
"""How many values `distinct` and `is_new` know: those seen last."""

_LONG = 2**17  # with more values, to find the previous of each takes less time than a hash table


class Recall:
    """A memory's values and behind them those of raw events, entity by entity, in one array."""

    def __init__(self, merged: Merged, memory: Memory) -> None:
        old = merged.states.memories[merged.layout.memories.index(memory)]
        self.memory, (self.old_tokens,) = merged.timeline(old), old.tracks
        self.raw_tokens = merged.columns[memory.column]
        self._known = merged.known(memory.column, memory.flag)
        self._all_known = bool(self._known.all())
        self._events = merged.events
        merge = Merge(
            old.counts, self._known_upto(merged.events.ends) - self._known_upto(merged.events.starts)
        )
        self._counts, self._ends = merge.counts, merge.counts.cumsum()
        known = self.raw_tokens if self._all_known else self.raw_tokens[self._known]
        self.tokens = merge.of(self.old_tokens, known)

    def place(self, old: Ints, raw: Ints) -> Ints:
        """Where in the array the entry would be before which lie `old` of the memory and `raw` events."""
        found: Ints = old + self._known_upto(raw)
        return found

    def _known_upto(self, raw: Ints) -> Ints:
        """How many raw events before each have a value."""
        return raw if self._all_known else self._known_before[raw]

    @cached_property
    def _known_before(self) -> Ints:
        return np.append(0, self._known.cumsum())

    def has(self, raw: Ints) -> Bools:
        """Which raw events have a value."""
        found: Bools = self._known[raw]
        return found

    @cached_property
    def groups(self) -> Ints:
        """The entity of each value."""
        return runs(self._counts)

    @cached_property
    def before(self) -> Ints:
        """The entry before each with the same value, -1 if there is none."""
        return previous(self.groups, self.tokens)

    def distinct(self, groups: Ints, start: Ints, end: Ints, rounded: Bools) -> Ints:
        """How many values each range holds; among rounded ones, and among others, starts never go back."""
        if len(self.tokens) > _LONG:
            return self._distinct_sliding(start, end, rounded)
        _, upto = self._last
        found = upto[end] - upto[start]  # right for ranges that reach to the end of the entity's values
        earlier = np.flatnonzero(end < self._ends[groups])
        start, end = start[earlier], end[earlier]
        if short(start, end, len(self.tokens)):
            found[earlier] = distinct_listed(self.tokens, start, end)
        else:
            found[earlier] = self._distinct_sliding(start, end, rounded[earlier])
        return found

    def _distinct_sliding(self, start: Ints, end: Ints, rounded: Bools) -> Ints:
        found = np.zeros(len(start), np.int64)
        for chosen in (rounded, ~rounded):
            found[chosen] = distinct(self.before, start[chosen], end[chosen])
        return found

    def recent(self) -> Ints:
        """Where the run begins that holds the values known before each entry."""
        return recent_from(self.groups, self.before, REMEMBERED_VALUES)

    def remembered_old(self, old: Ints) -> Bools:
        """Which of these entries of the memory are among the values seen last."""
        return self._remembered(self.place(old, self._events.starts[self.memory.groups[old]]))

    def remembered_raw(self, raw: Ints) -> Bools:
        """Which of these raw events are the last of their value, and that among the values seen last."""
        found = np.zeros(len(raw), np.bool_)
        known = self._known[raw]
        raw = raw[known]
        found[known] = self._remembered(self.place(self.memory.ends[self._events.groups[raw]], raw))
        return found

    def _remembered(self, places: Ints) -> Bools:
        last, upto = self._last
        later = upto[self._ends[self.groups[places]]] - upto[places + 1]
        found: Bools = last[places] & (later < REMEMBERED_VALUES)
        return found

    @cached_property
    def _last(self) -> tuple[Bools, Ints]:
        """Which entries are the last of their value, and how many of those lie before each."""
        if len(self.tokens) > _LONG:
            last = np.ones(len(self.tokens), np.bool_)
            last[self.before[self.before >= 0]] = False
        else:
            last = last_alike(self.groups, self.tokens)
        return last, np.append(0, last.cumsum())
