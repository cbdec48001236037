"""The states of entities that are in order, once a batch has arrived: heads, tiles, and what is forgotten."""

from collections.abc import Sequence

import numpy as np

from stream_features.blob import NEVER, Series, States
from stream_features.columns import NULL, Bools, Ints
from stream_features.decay import as_bits
from stream_features.in_order import Merged
from stream_features.layout import Measure
from stream_features.means import Means
from stream_features.ranges import Whole
from stream_features.recall import Recall
from stream_features.tiles import oldest_kept_ms, tiles_of


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
        self._entities = len(self._newest_ms)

    def states(self, recalls: Sequence[Recall], means: Sequence[Means]) -> States:
        merged, raw = self._merged, self._merged.raw
        entities = np.arange(self._entities)
        head_from = merged.head_from(entities, merged.all.starts + merged.all.counts)
        in_head = np.arange(len(merged.time_ms)) >= head_from[merged.all.groups]
        kept = merged.time_ms >= self._oldest_ms[merged.all.groups]
        raw_at = merged.of_raw(np.arange(len(merged.raw_ms)))
        heads = (in_head & kept)[raw_at]
        counts = _counts(raw.groups[heads], self._entities)
        raw_from = raw.starts + raw.counts - counts
        head = Series(counts, merged.raw_ms[heads], tuple(column[heads] for column in merged.columns))
        positives, positive_tiles = self._positives()
        memories = tuple(recall.after(raw_from, self._oldest_ms, self._clock_ms) for recall in recalls)
        return States(
            self._newest_ms,
            head,
            self._tiles(~in_head & kept),
            positives,
            positive_tiles,
            self._tails(raw_from, means),
            memories,
        )

    def _tiles(self, tiled: Bools) -> Series:
        merged = self._merged
        measures = self._layout.measures
        if not tiled.any():
            nothing = np.zeros(0, np.int64)
            return Series(np.zeros(self._entities, np.int64), nothing, (nothing,) * len(measures))
        groups = merged.all.groups[tiled]
        tracks = [(measure, merged.measured(measure)[tiled]) for measure in measures]
        return self._summed(groups, merged.time_ms[tiled], tracks)

    def _summed(self, groups: Ints, time_ms: Ints, tracks: list[tuple[Measure, Whole]]) -> Series:
        """Entries by entity and time, those of one tile made one."""
        start_ms = tiles_of(time_ms, self._clock_ms[groups])
        first = np.ones(len(groups), np.bool_)
        first[1:] = (groups[1:] != groups[:-1]) | (start_ms[1:] != start_ms[:-1])
        at = np.flatnonzero(first)
        summed = tuple(_reduced(measure, values, at) for measure, values in tracks)
        return Series(_counts(groups[at], self._entities), start_ms[at], summed)

    def _positives(self) -> tuple[Series, Series]:
        merged = self._merged
        merge, old_tiles = merged.positives, self._states.positive_tiles.counts
        kept = merged.positive_ms >= self._oldest_ms[merge.groups]
        head_from = merge.starts + np.maximum(old_tiles, merge.counts - self._layout.exact_events)
        in_head = np.arange(len(kept)) >= head_from[merge.groups]
        heads, tiled = kept & in_head, kept & ~in_head
        head = Series(_counts(merge.groups[heads], self._entities), merged.positive_ms[heads], ())
        if not tiled.any():
            nothing = np.zeros(0, np.int64)
            return head, Series(np.zeros(self._entities, np.int64), nothing, (nothing,))
        count = [(self._layout.measures[0], merged.positive_counts[tiled])]
        return head, self._summed(merge.groups[tiled], merged.positive_ms[tiled], count)

    def _tails(self, raw_from: Ints, means: Sequence[Means]) -> Series:
        """The last event that left each head, and the means as of it and as of the newest event.

        While no value has left a head, the newest event stands for it.
        """
        nothing = np.zeros(0, np.int64)
        if not means:
            return Series(np.zeros(self._entities, np.int64), nothing, ())
        merged, raw = self._merged, self._merged.raw
        has = self._newest_ms != NEVER
        time_ms, left = merged.tail_ms.copy(), raw_from > raw.starts
        time_ms[left] = merged.raw_ms[raw_from[left] - 1]
        started = np.zeros(self._entities, np.bool_)
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
            if values.dtype != object and np.abs(values.astype(np.float64)).sum() >= 2.0**62:
                values = values.astype(object)  # a tile's total could leave 64 bits
            return np.add.reduceat(values, at)


def _counts(groups: Ints, entities: int) -> Ints:
    return np.bincount(groups, minlength=entities).astype(np.int64)
