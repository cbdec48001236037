"""The features by their definitions: lists and loops, nothing clever, everything kept. Slow and obvious.

Fast code is compared with this, bit for bit. It never forgets a point; what a state has dropped is left out
by a condition on each point instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from stream_features.events import Event, Label
from stream_features.spec_model import Feature, Spec, horizon_ms

REMEMBERED_LABELS = 64
REMEMBERED_VALUES = 128
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def size_at(age_ms: int) -> int:
    """The tile that a window's edge of this age is rounded to."""
    return 5 * MINUTE_MS if age_ms < 12 * HOUR_MS else HOUR_MS if age_ms < 12 * DAY_MS else DAY_MS


def floor(time_ms: int, size_ms: int) -> int:
    return time_ms // size_ms * size_ms


@dataclass
class Point:
    """An event, or a positive label, in the memory of an entity."""

    time_ms: int
    event: Event | None = None
    tiled: bool = False

    def known_ms(self, clock_ms: int) -> int:
        """Its own time, or the start of the tile it lies in when the newest event is of `clock_ms`."""
        if not self.tiled:
            return self.time_ms
        if self.time_ms < floor(clock_ms - 12 * DAY_MS, DAY_MS):
            return floor(self.time_ms, DAY_MS)
        if self.time_ms < floor(clock_ms - 12 * HOUR_MS, HOUR_MS):
            return floor(self.time_ms, HOUR_MS)
        return floor(self.time_ms, 5 * MINUTE_MS)


@dataclass
class Points:
    """Points in the order (time, arrival): the newest `exact` one by one, older ones tiled."""

    exact: int
    points: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> None:
        raw = [p.time_ms for p in self.points if not p.tiled]
        tiled = any(p.tiled for p in self.points)
        self.points.append(point)
        self.points.sort(key=lambda p: p.time_ms)  # stable: of one time in the order of arrival
        if tiled and (not raw or point.time_ms < raw[0]):
            point.tiled = True
        exact = [p for p in self.points if not p.tiled]
        if len(exact) > self.exact:
            exact[0].tiled = True

    def forget(self, oldest_ms: int) -> None:
        self.points = [p for p in self.points if p.time_ms >= oldest_ms]

    def edge_ms(self, at_ms: int, age_ms: int) -> int:
        """The first instant after at - age; rounded to a tile if there are any and it is not in the head."""
        edge_ms = at_ms - age_ms + 1
        raw = [p.time_ms for p in self.points if not p.tiled]
        if any(p.tiled for p in self.points) and (not raw or raw[0] >= edge_ms):
            return floor(edge_ms, size_at(age_ms))
        return edge_ms


@dataclass
class History:
    """All that one entity has seen and not forgotten."""

    horizon_ms: int
    exact: int
    clock_ms: int = 0
    events: Points = field(init=False)
    positives: Points = field(init=False)
    labels: list[tuple[int, int, bool]] = field(default_factory=list)  # hash, label time, label
    trail: list[tuple[int, Event]] = field(default_factory=list)  # all events, for means

    def __post_init__(self) -> None:
        self.events, self.positives = Points(self.exact), Points(self.exact)

    @property
    def oldest_ms(self) -> int:
        return floor(self.clock_ms - self.horizon_ms + 1, size_at(self.horizon_ms))

    def add_event(self, event: Event) -> None:
        if event.time_ms < self.oldest_ms:
            return
        self.clock_ms = max(self.clock_ms, event.time_ms)
        self.events.add(Point(event.time_ms, event))
        self.forget()

    def forget(self) -> None:
        self.events.forget(self.oldest_ms)
        self.positives.forget(self.oldest_ms)

    def add_label(self, label: Label) -> None:
        known = [entry for entry in self.labels if entry[0] == label.id_hash]
        was = known[0][2] if known else False
        if known and label.label_time_ms <= known[0][1]:
            return
        self.labels = [entry for entry in self.labels if entry not in known]
        self.labels.append((label.id_hash, label.label_time_ms, label.label))
        self.labels = self.labels[-REMEMBERED_LABELS:]
        if label.time_ms < self.oldest_ms:
            return
        if label.label and not was:
            self.positives.add(Point(label.time_ms))
        if was and not label.label:
            self.take_back(label.time_ms)
        self.forget()

    def take_back(self, time_ms: int) -> None:
        """The exact one if it is still kept so, else any of its tile."""
        for exact in (True, False):
            for point in self.positives.points:
                same = point.time_ms == time_ms if exact else self.tile(point) == self.tile_of(time_ms)
                if point.tiled is not exact and same:
                    self.positives.points.remove(point)
                    return

    def tile(self, point: Point) -> int:
        return point.known_ms(self.clock_ms)

    def tile_of(self, time_ms: int) -> int:
        return Point(time_ms, None, True).known_ms(self.clock_ms)


def features(
    spec: Spec, records: Sequence[Event | Label], applies: Sequence[Sequence[bool]] | None = None
) -> list[list[np.float32] | None]:
    """One row of features an event (None for a label), records in arrival order.

    ``applies[i][j]`` says whether record i enters the state of entity j; if not, its features still read it.
    """
    histories: dict[tuple[int, str], History] = {}
    rows: list[list[np.float32] | None] = []
    for i, record in enumerate(records):
        own: dict[str, tuple[History, bool]] = {}
        for j, entity in enumerate(spec.entities):
            key = (j, record.entities[j])
            empty = History(horizon_ms(spec, entity.name), spec.event.exact_events)
            applied = applies is None or applies[i][j]
            own[entity.name] = (histories.setdefault(key, empty), applied)
        rows.append(_row(spec, record, own) if isinstance(record, Event) else None)
        for history, applied in own.values():
            if applied and isinstance(record, Event):
                history.add_event(record)
            elif applied:
                history.add_label(record)
    return rows


def _row(spec: Spec, event: Event, histories: dict[str, tuple[History, bool]]) -> list[np.float32]:
    row = []
    for feature in spec.features:
        if feature.entity:
            history, applies = histories[feature.entity]
            value = _of_history(spec, feature, event, history, applies)
        else:
            value = _alone(spec, feature, event)
        if math.isnan(value) and feature.default is not None:
            value = feature.default
        row.append(np.float32(value))
    return row


def _alone(spec: Spec, feature: Feature, event: Event) -> float:
    moment = datetime.fromtimestamp(event.time_ms // 1000, tz=UTC)
    match feature.op:
        case "value":
            return _value(spec, feature.of, event)
        case "hour":
            return float(moment.hour)
        case "weekday":
            return float(moment.weekday())
        case "is_weekend":
            return float(moment.weekday() >= 5)
        case "hour_between":
            first, last = feature.hours
            if first <= last:
                return float(first <= moment.hour <= last)
            return float(moment.hour >= first or moment.hour <= last)
    raise AssertionError(feature.op)


def _of_history(spec: Spec, feature: Feature, event: Event, history: History, applies: bool) -> float:
    match feature.op:
        case "since_last" | "last" | "same_as_last":
            return _of_previous(spec, feature, event, history, applies)
        case "distinct" | "is_new":
            return _of_values(spec, feature, event, history, applies)
        case _:
            return _windowed(spec, feature, event, history, applies)


def _windowed(spec: Spec, feature: Feature, event: Event, history: History, applies: bool) -> float:
    def inside(points: Points) -> list[Point]:
        ages = (feature.delay_ms + feature.window_ms, feature.delay_ms)
        first, end = (
            min(points.edge_ms(event.time_ms, a), history.events.edge_ms(event.time_ms, a)) for a in ages
        )
        return [p for p in points.points if first <= p.known_ms(history.clock_ms) < end]

    events = [p.event for p in inside(history.events)]
    if applies and feature.delay_ms == 0:
        events.append(event)
    if feature.where:
        events = [e for e in events if all(_field(spec, name, e) == value for name, value in feature.where)]
    if feature.op == "count":
        return float(len(events))
    if feature.op == "label_count":
        return float(len(inside(history.positives)))
    if feature.op == "label_rate":
        return len(inside(history.positives)) / len(events) if events else math.nan
    return _of_numbers(
        spec, feature, [int(n) for e in events if (n := _field(spec, feature.of, e)) is not None]
    )


def _of_numbers(spec: Spec, feature: Feature, numbers: list[int]) -> float:
    scale, n = 10 ** spec.fields[feature.of].digits, len(numbers)
    match feature.op:
        case "sum":
            return float(sum(numbers)) / scale
        case "mean":
            return float(sum(numbers)) / float(n * scale) if n else math.nan
        case "min":
            return min(numbers) / scale if n else math.nan
        case "max":
            return max(numbers) / scale if n else math.nan
        case "std":
            spread = n * sum(x * x for x in numbers) - sum(numbers) ** 2
            return math.sqrt(float(spread) / float(n * (n - 1))) / scale if n > 1 else math.nan
    raise AssertionError(feature.op)


def _of_values(spec: Spec, feature: Feature, event: Event, history: History, applies: bool) -> float:
    """Of the values seen last, the newest 128 distinct ones are known."""

    def value(e: Event) -> object:
        if any(_field(spec, name, e) != wanted for name, wanted in feature.where):
            return None
        return _field(spec, feature.of, e)

    end = history.events.edge_ms(event.time_ms, 0)
    first = history.events.edge_ms(event.time_ms, feature.window_ms)
    known = [(p, v) for p in history.events.points if (v := value(p.event)) is not None]
    last = {v: p for p, v in known}  # of a value's tiled events only the last of all is known
    known = [(p, v) for p, v in known if not p.tiled or last[v] is p]
    known = [(p, v) for p, v in known if p.known_ms(history.clock_ms) < end]
    recent = list(dict.fromkeys(v for _, v in reversed(known)))[:REMEMBERED_VALUES]
    inside = {v for p, v in known if p.known_ms(history.clock_ms) >= first}
    own = value(event) if applies else None
    if feature.op == "is_new":
        return math.nan if own is None else float(own not in inside or own not in recent)
    return float(min(len(inside | ({own} if own is not None else set())), REMEMBERED_VALUES))


def _of_previous(spec: Spec, feature: Feature, event: Event, history: History, applies: bool) -> float:
    before = [p for p in history.events.points if p.time_ms <= event.time_ms and not p.tiled]
    if not before or event.time_ms - before[-1].time_ms >= 90 * DAY_MS:
        return math.nan
    if feature.op == "since_last":
        return (event.time_ms - before[-1].time_ms) / 1000.0
    last = _field(spec, feature.of, before[-1].event)
    if last is None:
        return math.nan
    if feature.op == "last":
        return int(last) / 10 ** spec.fields[feature.of].digits
    now = _field(spec, feature.of, event) if applies else None
    return math.nan if now is None else float(now == last)


def _field(spec: Spec, name: str | None, event: Event) -> object:
    """The value of a field, or the id of an entity."""
    if name not in spec.fields:
        return event.entities[[entity.name for entity in spec.entities].index(name)]
    return event.values[list(spec.fields).index(name)]


def _value(spec: Spec, name: str | None, event: Event) -> float:
    value = event.values[list(spec.fields).index(name)]
    return math.nan if value is None else float(value) / 10 ** spec.fields[name].digits
