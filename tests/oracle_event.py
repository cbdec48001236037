"""Features of the event alone and of other features, by their definitions: slow and obvious.

Offsets come from the `tzdata` package by its own zone files; the logarithm from `decimal`.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np

from stream_features.events import Event
from stream_features.spec_model import Feature, Spec


def alone(spec: Spec, feature: Feature, event: Event) -> float:
    """A feature of the event alone, before its default; float64."""
    if feature.of is not None:
        return _of_value(spec, feature, event.values[list(spec.fields).index(feature.of)])
    moment = datetime.fromtimestamp(event.time_ms // 1000, tz=UTC).astimezone(_zone(feature.timezone))
    match feature.op:
        case "hour":
            return float(moment.hour)
        case "weekday":
            return float(moment.weekday())
        case "is_weekend":
            return float(moment.isoweekday() in {6, 7})
        case "hour_between":
            first, last = feature.hours
            hours = range(first, last + 1) if first <= last else [*range(first, 24), *range(last + 1)]
            return float(moment.hour in hours)
    raise AssertionError(feature.op)


def derived(feature: Feature, row: Mapping[str, np.float32]) -> float:
    """A feature of other features, `row` holding theirs with defaults applied; before its own default."""
    of, to = float(row[feature.of]), float(row[feature.to])
    match feature.op:
        case "ratio":
            return of / to if to else math.nan
        case "difference":
            return of - to
        case "zscore":
            std = float(row[feature.std])
            return (of - to) / std if std else math.nan
    raise AssertionError(feature.op)


def with_default(feature: Feature, value: float) -> np.float32:
    """What stands in the vector; what float32 cannot hold is missing."""
    value = value if abs(value) <= float(np.finfo(np.float32).max) else math.nan
    return np.float32(feature.default if math.isnan(value) and feature.default is not None else value)


def _of_value(spec: Spec, feature: Feature, value) -> float:
    if value is None:
        return math.nan
    if feature.op == "one_of":
        return float(value in feature.values)
    number = float(value) / 10 ** spec.fields[feature.of].digits
    if feature.op == "value":
        return number
    return _log1p(number) if number > -1 else math.nan


def _log1p(number: float) -> float:
    if abs(number) < 1e-30:
        return number
    with localcontext(prec=60):
        return float((1 + Decimal(number)).ln())


@cache
def _zone(name: str | None) -> ZoneInfo:
    path = ("zoneinfo", *(name or "UTC").split("/"))
    with resources.files("tzdata").joinpath(*path).open("rb") as table:
        return ZoneInfo.from_file(table)
