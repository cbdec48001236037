"""The fast path: entities whose points arrive in the order of their times, all at once, in numpy.

Every entity's tiles, head and new events lie in one array sorted by (entity, time, arrival). A window of an
entity is then a range of it, found by binary search on one sorted key; a tile lies where it starts.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stream_features.blob import NEVER, States, runs
from stream_features.columns import NULL, Bools, Ints
from stream_features.layout import Layout, Measure
from stream_features.ranges import Whole
from stream_features.tiles import oldest_kept_ms
from stream_features.timelines import Cut, Merge, time_span

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
        clock_ms: Ints = np.where(first, 0, self.time_ms[self.own - 1])
        return oldest_kept_ms(clock_ms, self.layout.horizon_ms)

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
        counts = self.known(measure.column, measure.flag)
        match measure.kind:
            case "count":
                return counts.astype(np.int64)
            case "sum":
                return np.where(counts, column, 0)
            case "squares":
                return _squares(np.where(counts, column, 0))
            case "min" | "max":
                return np.where(counts, column, NULL)

    def known(self, column: int, flag: int) -> Bools:
        """Of which raw entries a column has a value, and a flag (-1: none) holds."""
        known: Bools = self.columns[column] != NULL
        return known & (self.columns[flag] == 1) if flag >= 0 else known

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
