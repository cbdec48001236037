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


@dataclass
class History:
    """All that one entity has seen. ``events`` and ``positives`` are in arrival order."""

    horizon_ms: int
    newest_ms: int | None = None
    events: list[Event] = field(default_factory=list)
    positives: list[int] = field(default_factory=list)
    labels: list[tuple[int, int, bool]] = field(default_factory=list)  # hash, label time, label

    def remembered(self, time_ms: int) -> bool:
        return self.newest_ms is None or time_ms > self.newest_ms - self.horizon_ms

    def add_event(self, event: Event) -> None:
        self.events.append(event)
        self.newest_ms = event.time_ms if self.newest_ms is None else max(self.newest_ms, event.time_ms)

    def add_label(self, label: Label) -> None:
        known = [entry for entry in self.labels if entry[0] == label.id_hash]
        was = known[0][2] if known else False
        if known and label.label_time_ms <= known[0][1]:
            return
        self.labels = [entry for entry in self.labels if entry not in known]
        self.labels.append((label.id_hash, label.label_time_ms, label.label))
        self.labels = self.labels[-REMEMBERED_LABELS:]
        if label.label and not was:
            self.positives.append(label.time_ms)
        if was and not label.label and label.time_ms in self.positives:
            self.positives.remove(label.time_ms)


def features(
    spec: Spec, records: Sequence[Event | Label], applies: Sequence[Sequence[bool]] | None = None
) -> list[list[np.float32] | None]:
    """One row of features an event (None for a label), records in arrival order.

    ``applies[i][j]`` says whether record i enters the state of entity j; if not, its features still read it.
    """
    histories: dict[tuple[int, str], History] = {}
    rows: list[list[np.float32] | None] = []
    for i, record in enumerate(records):
        own: dict[str, History] = {}
        for j, entity in enumerate(spec.entities):
            key = (j, record.entities[j])
            history = histories.setdefault(key, History(horizon_ms(spec, entity.name)))
            own[entity.name] = history
            if applies is not None and not applies[i][j]:
                continue
            if isinstance(record, Event):
                history.add_event(record)
            else:
                history.add_label(record)
        rows.append(_row(spec, record, own) if isinstance(record, Event) else None)
    return rows


def _row(spec: Spec, event: Event, histories: dict[str, History]) -> list[np.float32]:
    row = []
    for feature in spec.features:
        history = histories[feature.entity] if feature.entity else None
        value = _windowed(spec, feature, event, history) if history else _alone(spec, feature, event)
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


def _windowed(spec: Spec, feature: Feature, event: Event, history: History) -> float:
    end_ms = event.time_ms - feature.delay_ms
    start_ms = end_ms - feature.window_ms

    def inside(time_ms: int) -> bool:
        return start_ms < time_ms <= end_ms

    events = [
        e for e in history.events if inside(e.time_ms) and (e is event or history.remembered(e.time_ms))
    ]
    positives = [t for t in history.positives if inside(t) and history.remembered(t)]
    match feature.op:
        case "count":
            return float(len(events))
        case "label_count":
            return float(len(positives))
        case "label_rate":
            return len(positives) / len(events) if events else math.nan
    numbers = [n for e in events if (n := _scaled(spec, feature.of, e)) is not None]
    scale = 10 ** spec.fields[feature.of].digits
    match feature.op:
        case "sum":
            return float(sum(numbers)) / scale
        case "mean":
            return float(sum(numbers)) / float(len(numbers) * scale) if numbers else math.nan
    raise AssertionError(feature.op)


def _scaled(spec: Spec, name: str | None, event: Event) -> int | None:
    value = event.values[list(spec.fields).index(name)]
    return None if value is None else int(value)


def _value(spec: Spec, name: str | None, event: Event) -> float:
    value = event.values[list(spec.fields).index(name)]
    return math.nan if value is None else float(value) / 10 ** spec.fields[name].digits
