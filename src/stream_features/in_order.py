"""The fast path: entities whose points arrive in the order of their times, all at once, in numpy.

Every entity's points lie in one array sorted by (entity, time, arrival). A window (t - W, t] of an entity is
then a slice of it, found by binary search on one sorted key, and a sum is a difference of running sums.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_features.blob import NEVER, REMEMBERED_LABELS, States, runs
from stream_features.columns import NULL, Floats, Ints, Vectors
from stream_features.layout import Layout
from stream_features.spec_model import Feature


@dataclass(frozen=True)
class Arrivals:
    """What a batch adds to entities, sorted by (entity, arrival). ``*_rows`` are rows of the batch."""

    event_rows: Ints
    event_groups: Ints
    event_ms: Ints
    columns: tuple[Ints, ...]
    label_groups: Ints
    label_hashes: NDArray[np.uint64]
    label_marks: Ints
    positive_rows: Ints
    positive_groups: Ints
    positive_ms: Ints


class Merge:
    """Puts an entity's new entries behind its old ones, for all entities at once."""

    def __init__(self, old_counts: Ints, new_groups: Ints) -> None:
        new_counts = np.bincount(new_groups, minlength=len(old_counts)).astype(np.int64)
        self.counts = old_counts + new_counts
        self.old_at = np.arange(int(old_counts.sum())) + np.repeat(
            np.cumsum(new_counts) - new_counts, old_counts
        )
        self.new_at = np.arange(len(new_groups)) + np.cumsum(old_counts)[new_groups]

    @cached_property
    def groups(self) -> Ints:
        """The entity of each merged entry."""
        return runs(self.counts)

    def of[T: np.generic](self, old: NDArray[T], new: NDArray[T]) -> NDArray[T]:
        """The merged array."""
        if len(old) == 0:
            return new
        merged = np.empty(len(old) + len(new), new.dtype)
        merged[self.old_at], merged[self.new_at] = old, new
        return merged


class Timeline:
    """Times of many entities, sorted by (entity, time), searchable by both."""

    def __init__(self, groups: Ints, time_ms: Ints, origin_ms: int, span_ms: int) -> None:
        self._origin_ms, self._span_ms = origin_ms, span_ms
        self._keys = groups * span_ms + (time_ms - origin_ms + 1)

    def until(self, groups: Ints, time_ms: Ints) -> Ints:
        """For each query the number of entries of earlier entities, and of its own not later than it."""
        offset = np.clip(time_ms - (self._origin_ms - 1), 0, self._span_ms - 1)
        return np.searchsorted(self._keys, groups * self._span_ms + offset, side="right")


class Merged:
    """Old and new points of entities that are all in order."""

    def __init__(self, layout: Layout, states: States, arrivals: Arrivals) -> None:
        self.layout, self.states, self.arrivals = layout, states, arrivals
        self.events = Merge(states.event_counts, arrivals.event_groups)
        self.event_ms = self.events.of(states.event_ms, arrivals.event_ms)
        pairs = zip(states.columns, arrivals.columns, strict=True)
        self.columns = tuple(self.events.of(old, new) for old, new in pairs)
        self.positives = Merge(states.positive_counts, arrivals.positive_groups)
        self.positive_ms = self.positives.of(states.positive_ms, arrivals.positive_ms)

    def features(self) -> Vectors:
        """float32[events, features of the layout], in the order of `Arrivals.event_rows`; no defaults."""
        features = np.empty((len(self.arrivals.event_rows), len(self.layout.features)), np.float32)
        queries = Queries(self)
        for place, (_, feature) in enumerate(self.layout.features):
            features[:, place] = queries.answer(feature)
        return features

    def after(self) -> States:
        """The states when all has arrived: newest moved on, and what lies behind the horizon dropped."""
        newest_ms = self.states.newest_ms.copy()
        newest_ms[self.arrivals.event_groups] = (
            self.arrivals.event_ms
        )  # of several the last, the newest, stays
        oldest_ms = np.where(newest_ms == NEVER, NEVER, newest_ms - self.layout.horizon_ms)
        kept = self.event_ms > oldest_ms[self.events.groups]
        known = self.positive_ms > oldest_ms[self.positives.groups]
        labels = Merge(self.states.label_counts, self.arrivals.label_groups)
        last = _from_the_end(labels.counts) < REMEMBERED_LABELS
        return States(
            newest_ms=newest_ms,
            event_counts=_counts(self.events, kept),
            event_ms=self.event_ms[kept],
            columns=tuple(column[kept] for column in self.columns),
            positive_counts=_counts(self.positives, known),
            positive_ms=self.positive_ms[known],
            label_counts=np.minimum(labels.counts, REMEMBERED_LABELS),
            label_hashes=labels.of(self.states.label_hashes, self.arrivals.label_hashes)[last],
            label_marks=labels.of(self.states.label_marks, self.arrivals.label_marks)[last],
        )


class Queries:
    """What each new event sees: slices of the merged points, cached by their ends."""

    def __init__(self, merged: Merged) -> None:
        self._merged, self._arrivals = merged, merged.arrivals
        origin_ms, span_ms = time_span(merged.event_ms, merged.positive_ms)
        self._events = Timeline(merged.events.groups, merged.event_ms, origin_ms, span_ms)
        self._positives = Timeline(merged.positives.groups, merged.positive_ms, origin_ms, span_ms)
        self._own = merged.events.new_at + 1
        self._known = _positives_before(merged)
        self._slices: dict[tuple[str, int], Ints] = {}
        self._sums: dict[str, tuple[Ints, Ints | None]] = {}

    def answer(self, feature: Feature) -> Floats:
        """The feature's value for each new event."""
        start, end = self._window(feature)
        match feature.op:
            case "count":
                return (end - start).astype(np.float64)
            case "sum":
                return self._sum(feature, start, end) / self._scale(feature)
            case "mean":
                present = self._present(feature, start, end)
                return _ratio(self._sum(feature, start, end), present * self._scale(feature))
            case "label_count":
                return self._labels(feature)
            case "label_rate":
                return _ratio(self._labels(feature), end - start)
        raise NotImplementedError(feature.op)

    def _window(self, feature: Feature) -> tuple[Ints, Ints]:
        end = self._own if feature.delay_ms == 0 else self._until(feature.delay_ms)
        return self._until(feature.delay_ms + feature.window_ms), end

    def _until(self, back_ms: int) -> Ints:
        """How many points are at or before the event's time less `back_ms`."""
        return self._cached("events", self._events, back_ms)

    def _labels(self, feature: Feature) -> Floats:
        """Positive labels in the window that had arrived before the event."""
        end = np.minimum(self._cached("positives", self._positives, feature.delay_ms), self._known)
        start = self._cached("positives", self._positives, feature.delay_ms + feature.window_ms)
        return np.maximum(end - start, 0).astype(np.float64)

    def _cached(self, name: str, timeline: Timeline, back_ms: int) -> Ints:
        key = (name, back_ms)
        if key not in self._slices:
            arrivals = self._arrivals
            self._slices[key] = timeline.until(arrivals.event_groups, arrivals.event_ms - back_ms)
        return self._slices[key]

    def _sum(self, feature: Feature, start: Ints, end: Ints) -> Floats:
        running, _ = self._running(feature)
        return (running[end] - running[start]).astype(np.float64)

    def _present(self, feature: Feature, start: Ints, end: Ints) -> Ints:
        """How many points of the window have a value."""
        _, present = self._running(feature)
        return end - start if present is None else present[end] - present[start]

    def _running(self, feature: Feature) -> tuple[Ints, Ints | None]:
        """Running sums of a column and, if any value is missing, running counts of the present ones."""
        name = feature.of or ""
        if name not in self._sums:
            column = self._merged.columns[[field.name for field in self._merged.layout.columns].index(name)]
            missing = column == NULL
            present = _running(~missing) if missing.any() else None
            self._sums[name] = _running(np.where(missing, 0, column)), present
        return self._sums[name]

    def _scale(self, feature: Feature) -> int:
        (digits,) = (field.digits for field in self._merged.layout.columns if field.name == feature.of)
        return int(10**digits)


def time_span(*times_ms: Ints) -> tuple[int, int]:
    """The first time of all, and how many distinct offsets `Timeline` needs for them."""
    filled = [times for times in times_ms if len(times)]
    origin_ms = min((int(times.min()) for times in filled), default=0)
    return origin_ms, max((int(times.max()) for times in filled), default=0) - origin_ms + 2


def _positives_before(merged: Merged) -> Ints:
    """For each new event the end of those merged positives of its entity that had arrived before it."""
    arrivals = merged.arrivals
    groups, rows = arrivals.event_groups, arrivals.event_rows
    width = int(max(rows.max(initial=0), arrivals.positive_rows.max(initial=0))) + 1
    arrived = arrivals.positive_groups * width + arrivals.positive_rows
    new = np.searchsorted(arrived, groups * width + rows)
    return np.cumsum(merged.states.positive_counts)[groups] + new


def _running(values: NDArray[Any]) -> NDArray[Any]:
    """Exact running sums from 0, one longer than `values`; Python integers if int64 could overflow."""
    exact: type = object if np.abs(values.astype(np.float64)).sum() >= 2.0**62 else np.int64
    return np.concatenate([np.zeros(1, exact), np.cumsum(values.astype(exact), dtype=exact)])


def _ratio(numerator: Floats, denominator: Ints) -> Floats:
    """Numerator / denominator, NaN over zero."""
    ratio: Floats = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator != 0)
    return ratio


def _counts(merge: Merge, kept: NDArray[np.bool_]) -> Ints:
    if kept.all():
        return merge.counts
    return np.bincount(merge.groups[kept], minlength=len(merge.counts)).astype(np.int64)


def _from_the_end(counts: Ints) -> Ints:
    """For each entry how many of its entity follow: [2, 1] becomes [1, 0, 0]."""
    return np.repeat(np.cumsum(counts), counts) - np.arange(int(counts.sum())) - 1


def late_groups(states: States, arrivals: Arrivals, batch_rows: int) -> NDArray[np.bool_]:
    """Entities that this path cannot fold: a point before an older one, or a label that is already known."""
    late = np.zeros(len(states.newest_ms), np.bool_)
    _mark_out_of_order(late, states.newest_ms, arrivals.event_groups, arrivals.event_ms)
    newest_positive = np.full(len(late), NEVER)
    newest_positive[runs(states.positive_counts)] = states.positive_ms
    _mark_out_of_order(late, newest_positive, arrivals.positive_groups, arrivals.positive_ms)
    _mark_repeated(late, states, arrivals)
    _, span_ms = time_span(states.event_ms, arrivals.event_ms, states.positive_ms, arrivals.positive_ms)
    if len(late) * max(span_ms, batch_rows) >= 2**62:  # a sort key would overflow
        late[:] = True
    return late


def _mark_out_of_order(late: NDArray[np.bool_], newest_ms: Ints, groups: Ints, time_ms: Ints) -> None:
    if len(groups) == 0:
        return
    late[groups[time_ms < newest_ms[groups]]] = True
    late[groups[1:][(time_ms[1:] < time_ms[:-1]) & (groups[1:] == groups[:-1])]] = True


def _mark_repeated(late: NDArray[np.bool_], states: States, arrivals: Arrivals) -> None:
    if len(arrivals.label_groups) == 0:
        return
    suspect = np.zeros(2**16, np.bool_)  # whole memories are long: look only at what could be among the new
    suspect[arrivals.label_hashes & 0xFFFF] = True
    old = np.flatnonzero(suspect[states.label_hashes & 0xFFFF])
    groups = np.concatenate([runs(states.label_counts)[old], arrivals.label_groups])
    hashes = np.concatenate([states.label_hashes[old], arrivals.label_hashes])
    order = np.lexsort((groups, hashes))
    groups, hashes = groups[order], hashes[order]
    late[groups[1:][(groups[1:] == groups[:-1]) & (hashes[1:] == hashes[:-1])]] = True
