"""The fast path: entities whose points arrive in the order of their times, all at once, in numpy.

Every entity's tiles, head and new events lie in one array sorted by (entity, time, arrival). A window of an
entity is then a range of it, found by binary search on one sorted key; a tile lies where it starts.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stream_features.blob import NEVER, Series, States, runs
from stream_features.columns import NULL, Bools, Ints
from stream_features.layout import Layout, Measure, Memory
from stream_features.ranges import Whole, previous
from stream_features.tiles import grain_ms, tiles_of

REMEMBERED_VALUES = 128
"""How many values `distinct` and `is_new` know: those seen last."""

FAR = 2**62


@dataclass(frozen=True)
class Arrivals:
    """What a batch adds to entities, sorted by (entity, arrival). ``*_rows`` are rows of the batch."""

    event_rows: Ints
    event_groups: Ints
    event_ms: Ints
    columns: tuple[Ints, ...]
    positive_rows: Ints
    positive_groups: Ints
    positive_ms: Ints
    withdrawn_groups: Ints


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
        return np.where(self.rounded(back_ms), edge_ms - edge_ms % grain_ms(back_ms), edge_ms)


class Merged:
    """Old and new entries of entities that are all in order."""

    def __init__(self, layout: Layout, states: States, arrivals: Arrivals) -> None:
        self.layout, self.states, self.arrivals = layout, states, arrivals
        self.raw = Merge(states.head.counts, arrivals.event_groups)
        self.raw_ms = self.raw.of(states.head.time_ms, arrivals.event_ms)
        self.columns: tuple[Ints, ...] = tuple(
            self.raw.of(old, new) for old, new in zip(states.head.tracks, arrivals.columns, strict=True)
        )
        self.has_tiles = len(states.tiles.time_ms) > 0
        self.all = self._with_tiles() if self.has_tiles else self.raw
        self.time_ms = self.all.of(states.tiles.time_ms, self.raw_ms) if self.has_tiles else self.raw_ms
        self.own = self.of_raw(self.raw.new_at)
        self.positives = self._positives()
        self.positive_ms = np.concatenate([states.positive_tiles.time_ms, states.positives.time_ms])
        self.positive_ms = self._merged_positives(self.positive_ms, arrivals.positive_ms)
        times = (self.time_ms, self.positive_ms, *(memory.time_ms for memory in states.memories))
        self.span = time_span(*times)

    def _with_tiles(self) -> Merge:
        return Merge(self.states.tiles.counts, self.raw.groups, self.raw.counts)

    def of_raw(self, places: Ints) -> Ints:
        """Where raw entries (head and new) lie among all."""
        return self.all.new_at[places] if self.has_tiles else places

    @cached_property
    def _old_positives(self) -> Merge:
        tiles, raw = self.states.positive_tiles, self.states.positives
        return Merge(tiles.counts, runs(raw.counts), raw.counts)

    def _positives(self) -> Merge:
        return Merge(self._old_positives.counts, self.arrivals.positive_groups)

    def _merged_positives(self, old: Whole, new: Whole) -> Whole:
        tiled = len(self.states.positive_tiles.time_ms)
        return self.positives.of(self._old_positives.of(old[:tiled], old[tiled:]), new)

    @cached_property
    def positive_counts(self) -> Ints:
        """How many positives each entry stands for."""
        ones = np.ones(len(self.states.positives.time_ms), np.int64)
        old = np.concatenate([self.states.positive_tiles.tracks[0], ones])
        return self._merged_positives(old, np.ones(len(self.arrivals.positive_ms), np.int64))

    def head_from(self, groups: Ints, entries: Ints) -> Ints:
        """Where an entity's head begins when its entries end before index `entries`."""
        first = self.all.starts[groups] + self.states.tiles.counts[groups]
        found: Ints = np.maximum(first, entries - self.layout.exact_events)
        return found

    @cached_property
    def events_cut(self) -> Cut:
        """Of the events, as they lie before each new one."""
        groups = self.arrivals.event_groups
        head = self.head_from(groups, self.own)
        tiled = head > self.all.starts[groups]
        tiled &= self.time_ms[head - 1] >= self._oldest_kept_ms
        return Cut(self.arrivals.event_ms, self.time_ms[head], tiled)

    @cached_property
    def _oldest_kept_ms(self) -> Ints:
        """Before each new event, what is older was forgotten: as if it had never been tiled."""
        first = self.own == self.all.starts[self.arrivals.event_groups]
        clock_ms = np.where(first, 0, self.time_ms[self.own - 1])
        oldest_ms = clock_ms - self.layout.horizon_ms + 1
        found: Ints = oldest_ms - oldest_ms % grain_ms(self.layout.horizon_ms)
        return found

    @cached_property
    def known_positives(self) -> Ints:
        """For each new event the end of those positives of its entity that had arrived before it."""
        arrivals = self.arrivals
        groups, rows = arrivals.event_groups, arrivals.event_rows
        width = int(max(rows.max(initial=0), arrivals.positive_rows.max(initial=0))) + 1
        arrived = arrivals.positive_groups * width + arrivals.positive_rows
        new = np.searchsorted(arrived, groups * width + rows)
        found: Ints = np.cumsum(self._old_positives.counts)[groups] + new
        return found

    @cached_property
    def positives_cut(self) -> Cut:
        """Of the positives, as they lie before each new event."""
        groups = self.arrivals.event_groups
        first = self.positives.starts[groups] + self.states.positive_tiles.counts[groups]
        head = np.maximum(first, self.known_positives - self.layout.exact_events)
        times = np.append(self.positive_ms, 0)
        at_ms = np.where(head < self.known_positives, times[head], FAR)
        tiled = (head > self.positives.starts[groups]) & (times[head - 1] >= self._oldest_kept_ms)
        return Cut(self.arrivals.event_ms, at_ms, tiled)

    def measured(self, measure: Measure) -> Whole:
        """A measure of every entry; NULL where a least or greatest value is not known."""
        raw = self._raw_measured(measure)
        if not self.has_tiles:
            return raw
        return self.all.of(self.states.tiles.tracks[self.layout.measures.index(measure)], raw)

    def _raw_measured(self, measure: Measure) -> Whole:
        if measure.column < 0:
            held = measure.flag < 0 or self.columns[measure.flag] == 1
            return np.ones(len(self.raw_ms), np.int64) * held
        column = self.columns[measure.column]
        counts: Bools = column != NULL
        if measure.flag >= 0:
            counts &= self.columns[measure.flag] == 1
        match measure.kind:
            case "count":
                return counts.astype(np.int64)
            case "sum":
                return np.where(counts, column, 0)
            case "squares":
                return _squares(np.where(counts, column, 0))
            case "min" | "max":
                return np.where(counts, column, NULL)

    @cached_property
    def recalls(self) -> list["Recall"]:
        """For each memory its values and those of all raw events, by entity and time."""
        return [Recall(self, memory) for memory in self.layout.memories]

    @cached_property
    def gaps_ms(self) -> Ints:
        """Of each raw entry, from the event before it; -1 without one."""
        gaps = np.diff(self.raw_ms, prepend=0)
        gaps[self.raw.starts[self.raw.counts > 0]] = -1
        return gaps

    @cached_property
    def tail_ms(self) -> Ints:
        """When the last event that left each head was; no time at all if none has."""
        times = np.zeros(len(self.states.newest_ms), np.int64)
        times[runs(self.states.tails.counts)] = self.states.tails.time_ms
        return times


class Recall:
    """A memory's values and those of raw events, as one array by entity and time."""

    def __init__(self, merged: Merged, memory: Memory) -> None:
        layout, old = merged.layout, merged.states.memories[merged.layout.memories.index(memory)]
        token = merged.columns[memory.column]
        seen = token != NULL
        if memory.flag >= 0:
            seen &= merged.columns[memory.flag] == 1
        self._places = np.flatnonzero(seen)
        groups = merged.raw.groups[self._places]
        self.merge = Merge(old.counts, groups)
        self.time_ms = self.merge.of(old.time_ms, merged.raw_ms[self._places])
        self.tokens = self.merge.of(old.tracks[0], token[self._places])
        self.timeline = Timeline(self.merge.groups, self.time_ms, *merged.span)
        self._merged, self._layout = merged, layout

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


def _squares(values: Ints) -> Whole:
    """Exact; Python integers if any is beyond 64 bits."""
    largest = int(np.abs(values).max(initial=0))
    return values * values if largest < 2**31 else values.astype(object) ** 2


def late_groups(states: States, arrivals: Arrivals, batch_rows: int) -> Bools:
    """Entities that this path cannot fold: a point before an older one, or a positive taken back."""
    late = np.zeros(len(states.newest_ms), np.bool_)
    _mark_out_of_order(late, states.newest_ms, arrivals.event_groups, arrivals.event_ms)
    newest_positive = np.full(len(late), NEVER)
    newest_positive[runs(states.positives.counts)] = states.positives.time_ms
    newest_positive[(states.positive_tiles.counts > 0) & (states.positives.counts == 0)] = FAR
    _mark_out_of_order(late, newest_positive, arrivals.positive_groups, arrivals.positive_ms)
    late[arrivals.withdrawn_groups] = True
    times = (states.head.time_ms, states.tiles.time_ms, arrivals.event_ms)
    more = (states.positives.time_ms, states.positive_tiles.time_ms, arrivals.positive_ms)
    _, span_ms = time_span(*times, *more, *(memory.time_ms for memory in states.memories))
    if len(late) * max(span_ms, batch_rows) >= 2**62:  # a sort key would overflow
        late[:] = True
    return late


def _mark_out_of_order(late: Bools, newest_ms: Ints, groups: Ints, time_ms: Ints) -> None:
    if len(groups) == 0:
        return
    late[groups[time_ms < newest_ms[groups]]] = True
    late[groups[1:][(time_ms[1:] < time_ms[:-1]) & (groups[1:] == groups[:-1])]] = True
