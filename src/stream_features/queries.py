"""What each new event sees of entities that are in order: the features of the fast path."""

from collections.abc import Callable, Sequence

import numpy as np

from stream_features.columns import NULL, Floats, Ints, Vectors
from stream_features.in_order import Merged
from stream_features.layout import Use
from stream_features.means import Means
from stream_features.ranges import Whole, distinct, extremes, recent_from, running
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


class Queries:
    """Ranges of the merged entries, and their totals, each found once."""

    def __init__(self, merged: Merged, recalls: Sequence[Recall], means: Sequence[Means]) -> None:
        self._merged, self._recalls, self._means = merged, recalls, means
        self._groups, self._at_ms = merged.arrivals.event_groups, merged.arrivals.event_ms
        self._events = Timeline(merged.all.groups, merged.time_ms, *merged.span)
        self._positives = Timeline(merged.positives.groups, merged.positive_ms, *merged.span)
        self._edges: dict[int, Ints] = {}
        self._running: dict[int, Whole] = {}

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

    def _range(self, use: Use) -> tuple[Ints, Ints]:
        feature = use.feature
        start = self._edge(feature.delay_ms + feature.window_ms)
        end = self._edge(feature.delay_ms) if feature.delay_ms else self._merged.own + 1
        return start, end

    def _edge(self, back_ms: int) -> Ints:
        """How many entries lie before the first instant after the event's time less `back_ms`."""
        if back_ms not in self._edges:
            edge_ms = self._merged.events_cut.edge_ms(back_ms)
            self._edges[back_ms] = self._events.first(self._groups, edge_ms)
        return self._edges[back_ms]

    def _total(self, use: Use, measure: int) -> Whole:
        start, end = self._range(use)
        if self._counts_all(measure):
            return end - start
        sums = self._sums(measure)
        return sums[end] - sums[start]

    def _counts_all(self, place: int) -> bool:
        """Whether a measure is the number of entries: no tiles, no condition, no value missing."""
        measure = self._merged.layout.measures[place]
        if measure.kind != "count" or measure.flag >= 0 or self._merged.has_tiles:
            return False
        return measure.column < 0 or not (self._merged.columns[measure.column] == NULL).any()

    def _sums(self, measure: int) -> Whole:
        if measure not in self._running:
            values = self._merged.measured(self._merged.layout.measures[measure])
            most = float(np.abs(values).max(initial=0)) if len(values) else 0.0
            largest_group = int(self._merged.all.counts.max(initial=0))
            self._running[measure] = running(values, most * largest_group)
        return self._running[measure]

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
        measure = self._merged.layout.measures[use.extreme]
        values = self._merged.measured(measure)
        if measure.kind == "max":
            found = extremes(values, start, end, np.maximum, _LEAST)
        else:
            values = np.where(values == NULL, _MOST, values)
            found = extremes(values, start, end, np.minimum, _MOST)
        known = (found != _MOST) & (found != NULL)
        return np.where(known, found / use.scale, np.nan)

    def _labels(self, use: Use) -> Ints:
        """Positive labels in the window that had arrived before the event."""
        feature, merged = use.feature, self._merged
        known = merged.known_positives
        start = np.minimum(self._positive_edge(feature.delay_ms + feature.window_ms), known)
        end = np.minimum(self._positive_edge(feature.delay_ms), known)
        if not len(merged.states.positive_tiles.time_ms):
            found: Ints = np.maximum(end - start, 0)
            return found
        sums = running(merged.positive_counts, 0.0)
        total: Ints = np.maximum(sums[end] - sums[start], 0)
        return total

    def _positive_edge(self, back_ms: int) -> Ints:
        events, positives = self._merged.events_cut, self._merged.positives_cut
        edge_ms = np.minimum(events.edge_ms(back_ms), positives.edge_ms(back_ms))
        return self._positives.first(self._groups, edge_ms)

    def _distinct(self, use: Use) -> Floats:
        recall, window_ms = self._recalls[use.memory], use.feature.window_ms
        has, own = recall.own
        start = recall.timeline.first(self._groups, self._merged.events_cut.edge_ms(window_ms))
        end = own + has
        rounded = self._merged.events_cut.rounded(window_ms)
        found = np.zeros(len(own), np.int64)
        for chosen in (rounded, ~rounded):  # within either, starts never go back
            found[chosen] = distinct(recall.before, start[chosen], end[chosen])
        return np.minimum(found, REMEMBERED_VALUES).astype(np.float64)

    def _is_new(self, use: Use) -> Floats:
        recall, window_ms = self._recalls[use.memory], use.feature.window_ms
        has, own = recall.own
        own = own[has]
        edge_ms = self._merged.events_cut.edge_ms(window_ms)[has]
        start = recall.timeline.first(self._groups[has], edge_ms)
        recent = recent_from(recall.merge.groups, recall.before, REMEMBERED_VALUES)[own]
        answer = np.full(len(has), np.nan)
        answer[has] = recall.before[own] < np.maximum(start, recent)
        return answer

    def _of_previous(self, use: Use) -> Floats:
        """Of the event before: how long ago, its value, or whether that is the same."""
        raw = self._merged.raw.new_at
        gap_ms = self._merged.gaps_ms[raw]
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
