"""The fast path: entities whose points arrive in the order of their times, all at once, in numpy.

Every entity's head and new events lie in one array sorted by (entity, time, arrival), its tiles in another,
each where it starts. A window of an entity is then a range of either, found by binary search on one key.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stream_features.columns import NULL, Bools, Ints
from stream_features.layout import Layout, Measure
from stream_features.ranges import Whole, most
from stream_features.states import NEVER, Series, States, runs
from stream_features.tiles import oldest_kept_ms
from stream_features.timelines import Cut, Merge, Timeline, time_span

FAR = 2**62
FORGOTTEN = -(2**62)
ALL = slice(None)


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
    """Old and new entries of entities that are all in order.

    `events` are raw entries: those of the old head and the new ones behind them; `tiles` are older ones.
    `labels` and `label_tiles` are the same of positives.
    """

    def __init__(self, layout: Layout, states: States, arrivals: Arrivals) -> None:
        self.layout, self.states, self.arrivals = layout, states, arrivals
        self._raw = _merge(states.head.counts, arrivals.event_groups)
        self.raw_ms = self._raw.of(states.head.time_ms, arrivals.event_ms)
        self.columns: tuple[Ints, ...] = tuple(
            self._raw.of(old, new) for old, new in zip(states.head.tracks, arrivals.columns, strict=True)
        )
        positives = _merge(states.positives.counts, arrivals.positive_groups)
        positive_ms = positives.of(states.positives.time_ms, arrivals.positive_ms)
        olds = (states.tiles, states.positive_tiles, *states.memories)
        self.span = time_span(self.raw_ms, positive_ms, *(series.time_ms for series in olds))
        self.events = Timeline(self._raw.counts, self.raw_ms, self.span)
        self.tiles = self.timeline(states.tiles)
        self.labels = Timeline(positives.counts, positive_ms, self.span)
        self.label_tiles = self.timeline(states.positive_tiles)

    def timeline(self, series: Series) -> Timeline:
        """The times of a series of the old states."""
        return Timeline(series.counts, series.time_ms, self.span)

    @property
    def own(self) -> Ints:
        """Where each new event lies among the raw ones."""
        return self._raw.new_at

    def head_from(self, line: Timeline, groups: Ints, ends: Ints) -> Ints:
        """Where an entity's head begins when its raw entries end before index `ends`."""
        found: Ints = np.maximum(line.starts[groups], ends - self.layout.exact_events)
        return found

    @cached_property
    def events_cut(self) -> Cut:
        """Of the events, as they lie before each new one."""
        groups = self.arrivals.event_groups
        head = self.head_from(self.events, groups, self.own)
        return Cut(self.arrivals.event_ms, self.raw_ms[head], self._tiled(self.events, self.tiles, head))

    def _tiled(self, raw: Timeline, tiles: Timeline, head: Ints) -> Bools:
        """Before which new events there is an entry older than the head, and not yet forgotten."""
        groups = self.arrivals.event_groups
        tile_ms = tiles.before(groups, tiles.ends[groups], FORGOTTEN)
        found: Bools = raw.before(groups, head, tile_ms) >= self._oldest_kept_ms
        return found

    @cached_property
    def _oldest_kept_ms(self) -> Ints:
        """Before each new event, what is older was forgotten: as if it had never been tiled."""
        groups = self.arrivals.event_groups
        tile_ms = self.tiles.before(groups, self.tiles.ends[groups], 0)
        clock_ms = self.events.before(groups, self.own, tile_ms)
        return oldest_kept_ms(clock_ms, self.layout.horizon_ms)

    @cached_property
    def known_positives(self) -> Ints:
        """For each new event the end of those raw positives of its entity that had arrived before it."""
        arrivals = self.arrivals
        groups, rows = arrivals.event_groups, arrivals.event_rows
        width = int(max(rows.max(initial=0), arrivals.positive_rows.max(initial=0))) + 1
        arrived = arrivals.positive_groups * width + arrivals.positive_rows
        new = np.searchsorted(arrived, groups * width + rows)
        found: Ints = self.states.positives.counts.cumsum()[groups] + new
        return found

    @cached_property
    def positives_cut(self) -> Cut:
        """Of the positives, as they lie before each new event."""
        groups = self.arrivals.event_groups
        head = self.head_from(self.labels, groups, self.known_positives)
        at_ms = np.where(head < self.known_positives, np.append(self.labels.time_ms, 0)[head], FAR)
        return Cut(self.arrivals.event_ms, at_ms, self._tiled(self.labels, self.label_tiles, head))

    def measured(self, measure: Measure, rows: Ints | slice = ALL) -> Whole:
        """A measure of raw entries; NULL where a least or greatest value is not known."""
        if measure.column < 0:
            held = measure.flag < 0 or self.columns[measure.flag][rows] == 1
            return np.ones(len(self.raw_ms[rows]), np.int64) * held
        column = self.columns[measure.column][rows]
        counts = self.known(measure.column, measure.flag, rows)
        match measure.kind:
            case "count":
                return counts.astype(np.int64)
            case "sum":
                return np.where(counts, column, 0)
            case "squares":
                return _squares(np.where(counts, column, 0))
            case "min" | "max":
                return column if measure.flag < 0 else np.where(counts, column, NULL)

    def known(self, column: int, flag: int, rows: Ints | slice = ALL) -> Bools:
        """Of which raw entries a column has a value, and a flag (-1: none) holds."""
        known: Bools = self.columns[column][rows] != NULL
        return known & (self.columns[flag][rows] == 1) if flag >= 0 else known

    def gaps_ms(self, groups: Ints, places: Ints) -> Ints:
        """Of raw entries, from the event before each; -1 without one."""
        now_ms = self.raw_ms[places]
        return now_ms - self.events.before(groups, places, now_ms + 1)

    @cached_property
    def tail_ms(self) -> Ints:
        """When the last event that left each head was; no time at all if none has."""
        times = np.zeros(len(self.states.newest_ms), np.int64)
        times[runs(self.states.tails.counts)] = self.states.tails.time_ms
        return times


def _merge(old_counts: Ints, new_groups: Ints) -> Merge:
    return Merge(old_counts, np.bincount(new_groups, minlength=len(old_counts)).astype(np.int64))


def _squares(values: Ints) -> Whole:
    """Exact; Python integers if any is beyond 64 bits."""
    return values * values if most(values) < 2**31 else values.astype(object) ** 2


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
