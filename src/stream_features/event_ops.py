"""Features of the event alone: its time and its fields."""

import numpy as np

from stream_features.columns import NULL, Columns, Floats, Ints
from stream_features.spec_model import Feature, Field, Spec

HOUR_MS = 3_600_000
DAY_MS = 86_400_000


def answer(spec: Spec, feature: Feature, columns: Columns, rows: Ints) -> Floats:
    """The feature's value for each of `rows`."""
    time_ms = columns.time_ms[rows]
    match feature.op:
        case "value":
            return _numbers(spec.fields[feature.of or ""], columns, rows)
        case "hour":
            return hour(time_ms).astype(np.float64)
        case "weekday":
            return weekday(time_ms).astype(np.float64)
        case "is_weekend":
            return (weekday(time_ms) >= 5).astype(np.float64)
        case "hour_between":
            return _hour_between(feature.hours or (0, 23), hour(time_ms))
    raise NotImplementedError(feature.op)


def hour(time_ms: Ints) -> Ints:
    """0 to 23, UTC."""
    return time_ms // HOUR_MS % 24


def weekday(time_ms: Ints) -> Ints:
    """Monday is 0, UTC. 1970-01-01 was a Thursday."""
    return (time_ms // DAY_MS + 3) % 7


def _hour_between(hours: tuple[int, int], hour_of_day: Ints) -> Floats:
    """Both ends included; a first hour after the last goes over midnight."""
    first, last = hours
    after, before = hour_of_day >= first, hour_of_day <= last
    inside = after & before if first <= last else after | before
    return inside.astype(np.float64)


def _numbers(field: Field, columns: Columns, rows: Ints) -> Floats:
    found = columns.fields[field.name][rows]
    if field.kind == "float":
        return found.astype(np.float64)
    return np.where(found == NULL, np.nan, found / 10**field.digits)
