"""One condition of a rule as a function of a column. A missing value (None, NaN) fulfils none. Pure.

Features are compared as float32, since that is what they are. Decimals and integers are compared exactly,
however the policy writes its number: 0.29 is 29 hundredths, though the float is a little less.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.policy import Condition, Mask, Value

Column = npt.NDArray[Any] | tuple[npt.NDArray[np.int64], Mask] | Sequence[Any]
"""Floats with NaN where missing; integers and where they are present; or texts with None."""
Moments = int | npt.NDArray[np.int64]
Comparison = Callable[[Any, Moments], Mask]

_NEVER_MS = -(2**63)
_INT64 = np.iinfo(np.int64)


def comparison(condition: Condition, kind: str, digits: int) -> Comparison:
    """The condition over a column of that kind: `float32`, `float`, `string`, else integers x 10^digits.

    Values of another sort than the column (a text among numbers) never hold.
    """
    if kind == "string":
        return _texts(condition)
    values = [value for value in condition.values if not isinstance(value.value, str)]
    if kind in {"float", "float32"}:
        return _floats(condition.test, values, np.float32 if kind == "float32" else np.float64)
    return _integers(condition.test, values, digits)


def _texts(condition: Condition) -> Comparison:
    """Any of the texts; nothing is above or below one."""
    texts = [value for value in condition.values if isinstance(value.value, str) and condition.test == "in"]
    until_ms = _latest([(value, until) for value, until in texts])

    def compare(column: Sequence[Any], at_ms: Moments) -> Mask:
        if until_ms.keys().isdisjoint(column):
            return np.zeros(len(column), bool)
        return np.array([until_ms.get(text, _NEVER_MS) for text in column], np.int64) > at_ms

    return compare


def _floats(test: str, values: Sequence[Value], kind: type[np.floating[Any]]) -> Comparison:
    numbers = np.array([float(value) for value, _ in values], kind)
    if test == "in":
        return _member(
            _latest(list(zip(numbers.tolist(), [until for _, until in values], strict=True))), kind
        )
    return lambda column, at_ms: np.asarray(column > numbers[0] if test == "above" else column < numbers[0])


def _integers(test: str, values: Sequence[Value], digits: int) -> Comparison:
    """An integer is above 2.5 if it is above 2, and below it if it is below 3; it never equals it."""
    scaled = [(*_scaled(value, digits), until) for value, until in values]
    if test == "in":
        whole = [(low, until) for low, high, until in scaled if low == high == _clipped(low)]
        member = _member(_latest(whole), np.int64)
        return lambda column, at_ms: member(column[0], at_ms) & column[1]
    low, high, _ = scaled[0]
    limit = np.int64(_clipped(low if test == "above" else high))
    if test == "above":
        return lambda column, at_ms: (column[0] > limit) & column[1]
    return lambda column, at_ms: (column[0] < limit) & column[1]


def _member(until_ms: dict[Any, int], kind: type[np.generic]) -> Comparison:
    """Whether each number is one of those listed, at its moment."""
    keys = np.array(sorted(until_ms), kind)
    untils = np.array([until_ms[key] for key in sorted(until_ms)], np.int64)
    if not len(keys):
        return lambda column, at_ms: np.zeros(len(column), bool)

    def compare(column: npt.NDArray[Any], at_ms: Moments) -> Mask:
        place = np.minimum(np.searchsorted(keys, column), len(keys) - 1)
        return np.asarray((keys[place] == column) & (untils[place] > at_ms))

    return compare


def _latest(listed: Sequence[tuple[Any, int]]) -> dict[Any, int]:
    """Until when each value is listed: one that is listed twice, until the later."""
    until_ms: dict[Any, int] = {}
    for value, until in listed:
        until_ms[value] = max(until, until_ms.get(value, until))
    return until_ms


def _scaled(value: Any, digits: int) -> tuple[int, int]:
    """A number x 10^digits, rounded down and up to whole: the same if it is whole."""
    numerator, denominator = value.as_integer_ratio()
    return numerator * 10**digits // denominator, -(-numerator * 10**digits // denominator)


def _clipped(value: int) -> int:
    return max(int(_INT64.min), min(int(_INT64.max), value))
