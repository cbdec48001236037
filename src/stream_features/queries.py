"""What each new event sees of entities that are in order: the features of the fast path."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stream_features.columns import NULL, Floats, Ints, Vectors
from stream_features.in_order import Merged
from stream_features.layout import Use
from stream_features.means import Means
from stream_features.ranges import Whole, extremes, most, running
from stream_features.recall import REMEMBERED_VALUES, Recall
from stream_features.spec_model import HISTORY_MS
from stream_features.timelines import Timeline

_MOST, _LEAST = int(np.iinfo(np.int64).max), NULL


def features(merged: Merged, recalls: Sequence[Recall], means: Sequence[Means]) -> Vectors:
    """float32[events, features of the layout], in the order of `Arrivals.event_rows`; no defaults."""
    found = np.empty((len(merged.arrivals.event_rows), len(merged.layout.uses)), np.float32)
    queries = Queries(merged, recalls, means)
    for place, use in enumerate(merged.layout.uses):
        found[:, place] = queries.answer(use)
    return found


class Edge(NamedTuple):
    """An instant, for each new event: how many tiles and how many raw entries lie before it."""

    tile: Ints
    raw: Ints


class Queries:
    """Ranges of the merged entries, and their totals, each found once."""

    def __init__(self, merged: Merged, recalls: Sequence[Recall], means: Sequence[Means]) -> None:
        self._merged, self._recalls, self._means = merged, recalls, means
        self._groups, self._at_ms = merged.arrivals.event_groups, merged.arrivals.event_ms
        self._edges: dict[int, Edge] = {}
        self._running: dict[int, tuple[Whole, Whole | None]] = {}

    def answer(self, use: Use) -> Floats:
        """The feature's value for each new event."""
        return _ANSWERS[use.feature.op](self, use)

    def _count(self, use: Use) -> Floats:
        return self._total(use, use.count).astype(np.float64)

    def _sum(self, use: Use) -> Floats:
        return self._total(use, use.sum).astype(np.float64) / use.scale

    def _mean(self, use: Use) -> Floats:
        return ratio(self._total(use, use.sum), self._total(use, use.count) * use.scale)

    def _label_count(self, use: Use) -> Floats:
        return self._labels(use).astype(np.float64)

    def _label_rate(self, use: Use) -> Floats:
        return ratio(self._labels(use), self._total(use, use.count))

    def _ewma(self, use: Use) -> Floats:
        found = self._means[use.decay].of_events
        return np.array([mean.value(use.scale) for mean in found], np.float64)

    def _range(self, use: Use) -> tuple[Edge, Edge]:
        feature, merged = use.feature, self._merged
        start = self._edge(feature.delay_ms + feature.window_ms)
        if feature.delay_ms:
            return start, self._edge(feature.delay_ms)
        return start, Edge(merged.tiles.ends[self._groups], merged.own + 1)

    def _edge(self, back_ms: int) -> Edge:
        """The first instant after the event's time less `back_ms`."""
        if back_ms not in self._edges:
            merged, edge_ms = self._merged, self._merged.events_cut.edge_ms(back_ms)
            places = (line.first(self._groups, edge_ms) for line in (merged.tiles, merged.events))
            self._edges[back_ms] = Edge(*places)
        return self._edges[back_ms]

    def _total(self, use: Use, measure: int) -> Whole:
        start, end = self._range(use)
        tiles, raw = self._sums(measure)
        total = end.raw - start.raw if raw is None else raw[end.raw] - raw[start.raw]
        return total + (tiles[end.tile] - tiles[start.tile]) if len(tiles) > 1 else total

    def _sums(self, measure: int) -> tuple[Whole, Whole | None]:
        """Running sums of a measure over tiles and over raw entries; None if all of the latter count one."""
        if measure not in self._running:
            merged, asked = self._merged, self._merged.layout.measures[measure]
            ones = asked.kind == "count" and asked.flag < 0 and self._complete(asked.column)
            raw = None if ones else _running(merged.measured(asked), merged.events)
            tiles = _running(merged.states.tiles.tracks[measure], merged.tiles)
            self._running[measure] = tiles, raw
        return self._running[measure]

    def _complete(self, column: int) -> bool:
        """Whether no value of a column is missing (column -1: the events themselves)."""
        return column < 0 or not (self._merged.columns[column] == NULL).any()

    def _std(self, use: Use) -> Floats:
        """Of the sample: √((n Σx² − (Σx)²) / (n (n − 1))), the numerator exact."""
        count, total, squares = (self._total(use, m) for m in (use.count, use.sum, use.squares))
        if not _fits(count, total, squares):
            count, total, squares = (whole.astype(object) for whole in (count, total, squares))
        spread = (count * squares - total * total).astype(np.float64)
        pairs = (count * (count - 1)).astype(np.float64)
        return np.sqrt(ratio(spread, pairs)) / use.scale

    def _extreme(self, use: Use) -> Floats:
        start, end = self._range(use)
        merged, measure = self._merged, self._merged.layout.measures[use.extreme]
        ufunc, nothing = (np.maximum, _LEAST) if measure.kind == "max" else (np.minimum, _MOST)
        found = extremes(_or_most(merged.measured(measure), nothing), start.raw, end.raw, ufunc, nothing)
        tiles = merged.states.tiles.tracks[use.extreme]
        if len(tiles):
            older = extremes(_or_most(tiles, nothing), start.tile, end.tile, ufunc, nothing)
            found = ufunc(found, older)
        known = (found != _MOST) & (found != NULL)
        return np.where(known, found / use.scale, np.nan)

    def _labels(self, use: Use) -> Ints:
        """Positive labels in the window that had arrived before the event."""
        feature, merged = use.feature, self._merged
        known = merged.known_positives
        start = self._positive_edge(feature.delay_ms + feature.window_ms)
        end = self._positive_edge(feature.delay_ms)
        total = np.minimum(end.raw, known) - np.minimum(start.raw, known)
        if len(merged.label_tiles.time_ms):
            tiles = running(merged.states.positive_tiles.tracks[0], 0.0)
            total += tiles[end.tile] - tiles[start.tile]
        return total

    def _positive_edge(self, back_ms: int) -> Edge:
        merged = self._merged
        edge_ms = np.minimum(merged.events_cut.edge_ms(back_ms), merged.positives_cut.edge_ms(back_ms))
        return Edge(*(line.first(self._groups, edge_ms) for line in (merged.label_tiles, merged.labels)))

    def _distinct(self, use: Use) -> Floats:
        recall, window_ms = self._recalls[use.memory], use.feature.window_ms
        start, end = self._seen(recall, window_ms)
        found = recall.distinct(self._groups, start, end, self._merged.events_cut.rounded(window_ms))
        return np.minimum(found, REMEMBERED_VALUES).astype(np.float64)

    def _is_new(self, use: Use) -> Floats:
        recall = self._recalls[use.memory]
        has = recall.has(self._merged.own)
        start, end = (place[has] for place in self._seen(recall, use.feature.window_ms))
        own = end - 1
        answer = np.full(len(has), np.nan)
        answer[has] = recall.before[own] < np.maximum(start, recall.recent()[own])
        return answer

    def _seen(self, recall: Recall, window_ms: int) -> tuple[Ints, Ints]:
        """The range of a recall's values that each event finds in its window, its own among them."""
        edge_ms = self._merged.events_cut.edge_ms(window_ms)
        start = recall.place(recall.memory.first(self._groups, edge_ms), self._edge(window_ms).raw)
        return start, recall.place(recall.memory.ends[self._groups], self._merged.own + 1)

    def _of_previous(self, use: Use) -> Floats:
        """Of the event before: how long ago, its value, or whether that is the same."""
        raw = self._merged.own
        gap_ms = self._merged.gaps_ms(self._groups, raw)
        known = (gap_ms >= 0) & (gap_ms < HISTORY_MS)
        if use.feature.op == "since_last":
            return np.where(known, gap_ms / 1000.0, np.nan)
        column = self._merged.columns[use.column]
        now, before = column[raw], column[np.maximum(raw - 1, 0)]
        known &= before != NULL
        if use.feature.op == "last":
            return np.where(known, before / use.scale, np.nan)
        return np.where(known & (now != NULL), now == before, np.nan)


_ANSWERS: dict[str, Callable[[Queries, Use], Floats]] = {
    "count": Queries._count,
    "sum": Queries._sum,
    "mean": Queries._mean,
    "std": Queries._std,
    "min": Queries._extreme,
    "max": Queries._extreme,
    "label_count": Queries._label_count,
    "label_rate": Queries._label_rate,
    "distinct": Queries._distinct,
    "is_new": Queries._is_new,
    "since_last": Queries._of_previous,
    "last": Queries._of_previous,
    "same_as_last": Queries._of_previous,
    "ewma": Queries._ewma,
}


def _running(values: Whole, line: Timeline) -> Whole:
    """Running sums for ranges within one entity."""
    return running(values, most(values) * int(line.counts.max(initial=0)))


def _or_most(values: Ints, nothing: int) -> Ints:
    """Missing values as what is never the least or the greatest."""
    return values if nothing == NULL else np.where(values == NULL, nothing, values)


def ratio(numerator: Whole, denominator: Whole) -> Floats:
    """Numerator / denominator as float64, NaN over zero."""
    found: Floats = np.full(len(numerator), np.nan)
    below = denominator.astype(np.float64)
    np.divide(numerator.astype(np.float64), below, out=found, where=below != 0)
    return found


def _fits(count: Whole, total: Whole, squares: Whole) -> bool:
    """Whether n Σx² and (Σx)² are below 2^62."""
    if object in {total.dtype, squares.dtype}:
        return False
    most = float(count.max(initial=0)) * float(squares.max(initial=0))
    return max(most, float(np.abs(total).max(initial=0)) ** 2) < 2.0**62
