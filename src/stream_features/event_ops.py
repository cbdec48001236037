"""Features of the event alone: its time and its fields."""

import numpy as np

from stream_features import portable_math, timezones
from stream_features.columns import NULL, Columns, Floats, Ints, whole
from stream_features.spec_model import Feature, Field, Spec
from stream_features.tiles import DAY_MS, HOUR_MS


def answer(spec: Spec, feature: Feature, columns: Columns, rows: Ints) -> Floats:
    """The feature's value for each of `rows`; NaN where its field is missing."""
    if feature.of is None:
        time_ms = columns.time_ms[rows]
        return _of_time(
            feature, timezones.local_ms(time_ms, feature.timezone) if feature.timezone else time_ms
        )
    field = spec.fields[feature.of]
    if feature.op == "one_of":
        return _one_of(feature, columns.fields[field.name][rows].astype(np.int64))
    numbers = _numbers(field, columns, rows)
    return portable_math.log1p(numbers) if feature.op == "log1p" else numbers


def _of_time(feature: Feature, local_ms: Ints) -> Floats:
    match feature.op:
        case "hour":
            return hour(local_ms).astype(np.float64)
        case "weekday":
            return weekday(local_ms).astype(np.float64)
        case "is_weekend":
            return (weekday(local_ms) >= 5).astype(np.float64)
        case "hour_between":
            return _hour_between(feature.hours or (0, 23), hour(local_ms))
    raise NotImplementedError(feature.op)


def hour(local_ms: Ints) -> Ints:
    """0 to 23 by a clock that shows `local_ms`."""
    return local_ms // HOUR_MS % 24


def weekday(local_ms: Ints) -> Ints:
    """Monday is 0. 1970-01-01 was a Thursday."""
    return (local_ms // DAY_MS + 3) % 7


def _hour_between(hours: tuple[int, int], hour_of_day: Ints) -> Floats:
    """Both ends included; a first hour after the last goes over midnight."""
    first, last = hours
    after, before = hour_of_day >= first, hour_of_day <= last
    inside = after & before if first <= last else after | before
    return inside.astype(np.float64)


def _one_of(feature: Feature, found: Ints) -> Floats:
    listed = [whole(value) for value in feature.values]
    inside = np.isin(found, np.array(listed, np.int64)).astype(np.float64)
    return np.where(found == NULL, np.nan, inside)


def _numbers(field: Field, columns: Columns, rows: Ints) -> Floats:
    found = columns.fields[field.name][rows]
    if field.kind == "float":
        return found.astype(np.float64)
    return np.where(found == NULL, np.nan, found / 10**field.digits)
