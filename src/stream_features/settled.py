"""The states of entities that are in order, once a batch has arrived: heads, tiles, and what is forgotten."""

from collections.abc import Sequence

import numpy as np

from stream_features.columns import NULL, Ints
from stream_features.decay import as_bits
from stream_features.in_order import Merged
from stream_features.layout import Measure
from stream_features.means import Means
from stream_features.ranges import Whole, most, spread
from stream_features.recall import Recall
from stream_features.states import NEVER, Series, States
from stream_features.tiles import oldest_kept_ms, tiles_of
from stream_features.timelines import Aged, Timeline


def after(merged: Merged, recalls: Sequence[Recall], means: Sequence[Means]) -> States:
    """Newest moved on, heads cut to their length, the rest in tiles, what lies behind the horizon dropped."""
    return _Settling(merged).states(recalls, means)


class _Settling:
    def __init__(self, merged: Merged) -> None:
        self._merged, self._states, self._layout = merged, merged.states, merged.layout
        self._newest_ms = merged.states.newest_ms.copy()
        # Of several events of an entity the last, the newest, stays.
        self._newest_ms[merged.arrivals.event_groups] = merged.arrivals.event_ms
        self._clock_ms = np.maximum(self._newest_ms, 0)
        self._oldest_ms = oldest_kept_ms(self._clock_ms, self._layout.horizon_ms)
        self._entities = np.arange(len(self._newest_ms))

    def states(self, recalls: Sequence[Recall], means: Sequence[Means]) -> States:
        merged = self._merged
        first, head_from, head = self._split(merged.events, merged.columns)
        tiled = self._aged(merged.tiles, first, head_from)
        positives, positive_tiles = self._positives()
        raw_from = merged.events.ends - head.counts
        return States(
            self._newest_ms,
            head,
            self._tiles(tiled),
            positives,
            positive_tiles,
            self._tails(raw_from, means),
            tuple(self._memory(recall, first, head_from) for recall in recalls),
        )

    def _split(self, raw: Timeline, tracks: Sequence[Ints]) -> tuple[Ints, Ints, Series]:
        """Where raw entries that are not forgotten begin, where those that stay raw begin, and the latter."""
        first = self._not_forgotten(raw)
        head_from = self._merged.head_from(raw, self._entities, raw.ends)
        counts = raw.ends - np.maximum(first, head_from)
        if np.array_equal(counts, raw.counts):
            return first, head_from, Series(counts, raw.time_ms, tuple(tracks))
        rows = spread(raw.ends - counts, counts)
        return first, head_from, Series(counts, raw.time_ms[rows], tuple(track[rows] for track in tracks))

    def _not_forgotten(self, line: Timeline) -> Ints:
        return line.first(self._entities, self._oldest_ms)

    def _aged(self, old: Timeline, raw_from: Ints, raw_to: Ints) -> Aged:
        return Aged(old, self._not_forgotten(old), raw_from, raw_to)

    def _tiles(self, aged: Aged) -> Series:
        merged, measures = self._merged, self._layout.measures
        times = aged.of(merged.tiles.time_ms[aged.old], merged.raw_ms[aged.raw])
        tracks = [
            (measure, aged.of(track[aged.old], merged.measured(measure, aged.raw)))
            for measure, track in zip(measures, self._states.tiles.tracks, strict=True)
        ]
        return self._summed(aged.groups, times, tracks)

    def _positives(self) -> tuple[Series, Series]:
        merged, states = self._merged, self._states
        if not len(merged.labels.time_ms) and not len(merged.label_tiles.time_ms):
            return states.positives, states.positive_tiles
        first, head_from, head = self._split(merged.labels, ())
        (old,), aged = states.positive_tiles.tracks, self._aged(merged.label_tiles, first, head_from)
        times = aged.of(merged.label_tiles.time_ms[aged.old], merged.labels.time_ms[aged.raw])
        counts = aged.of(old[aged.old], np.ones(len(aged.raw), np.int64))
        return head, self._summed(aged.groups, times, [(self._layout.measures[0], counts)])

    def _summed(self, groups: Ints, time_ms: Ints, tracks: list[tuple[Measure, Whole]]) -> Series:
        """Entries by entity and time, those of one tile made one."""
        if not len(groups):
            return Series(self._entities * 0, time_ms, tuple(values for _, values in tracks))
        start_ms = tiles_of(time_ms, self._clock_ms[groups])
        first = np.ones(len(groups), np.bool_)
        first[1:] = (groups[1:] != groups[:-1]) | (start_ms[1:] != start_ms[:-1])
        at = np.flatnonzero(first)
        summed = tuple(_reduced(measure, values, at) for measure, values in tracks)
        return Series(self._counts(groups[at]), start_ms[at], summed)

    def _memory(self, recall: Recall, raw_from: Ints, raw_to: Ints) -> Series:
        """Values seen last before the head, in the order in which they were seen."""
        aged = self._aged(recall.memory, raw_from, raw_to)
        kept = aged.of(recall.remembered_old(aged.old), recall.remembered_raw(aged.raw))
        groups = aged.groups[kept]
        times = aged.of(recall.memory.time_ms[aged.old], self._merged.raw_ms[aged.raw])[kept]
        tokens = aged.of(recall.old_tokens[aged.old], recall.raw_tokens[aged.raw])[kept]
        return Series(self._counts(groups), tiles_of(times, self._clock_ms[groups]), (tokens,))

    def _counts(self, groups: Ints) -> Ints:
        return np.bincount(groups, minlength=len(self._entities)).astype(np.int64)

    def _tails(self, raw_from: Ints, means: Sequence[Means]) -> Series:
        """The last event that left each head, and the means as of it and as of the newest event.

        While no value has left a head, the newest event stands for it.
        """
        nothing = np.zeros(0, np.int64)
        if not means:
            return Series(self._entities * 0, nothing, ())
        merged, raw = self._merged, self._merged.events
        has = self._newest_ms != NEVER
        time_ms, left = merged.tail_ms.copy(), raw_from > raw.starts
        time_ms[left] = merged.raw_ms[raw_from[left] - 1]
        started = np.zeros(len(self._entities), np.bool_)
        tracks: list[Ints] = []
        for one in means:
            tails = one.tails(raw_from)
            started |= np.array([mean.weight > 0.0 for mean in tails], np.bool_)
            tracks += [bits[has] for bits in (*as_bits(tails), *as_bits(one.current))]
        time_ms = np.where(started, time_ms, self._newest_ms)
        return Series(has.astype(np.int64), time_ms[has], tuple(tracks))


def _reduced(measure: Measure, values: Whole, at: Ints) -> Whole:
    match measure.kind:
        case "max":
            return np.maximum.reduceat(values, at)
        case "min":
            most = np.iinfo(np.int64).max
            least = np.minimum.reduceat(np.where(values == NULL, most, values), at)
            return np.where(least == most, NULL, least)
        case _:
            return np.add.reduceat(values.astype(object) if _may_overflow(values) else values, at)


def _may_overflow(values: Whole) -> bool:
    """Whether a total of some of these could leave 64 bits."""
    if values.dtype == object or most(values) * len(values) < 2**62:
        return False
    return float(np.abs(values.astype(np.float64)).sum()) >= 2.0**62
