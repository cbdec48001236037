"""Exponentially weighted means: one recurrence, in Python floats, wherever it is needed.

A mean is Σ w·x / Σ w with w = 2^(-age / half-life). Numerator and denominator are carried from event to
event, in the order (event time, arrival): both are multiplied by 2^(-gap / half-life), then x and 1 are
added; a missing x adds nothing. After a gap of HISTORY_MS they start anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_features.columns import NULL, Floats, Ints
from stream_features.portable_math import exp2_minus
from stream_features.spec_model import HISTORY_MS


class Mean(NamedTuple):
    """Numerator and denominator as of some event."""

    weighted: float = 0.0
    weight: float = 0.0

    def value(self, scale: int) -> float:
        """The mean in units; NaN if nothing has counted."""
        return self.weighted / self.weight / scale if self.weight > 0.0 else float("nan")


def factors(gaps_ms: Ints, half_life_ms: int) -> Floats:
    """What is left of a weight after each gap (at least 0); nothing after HISTORY_MS."""
    left: Floats = exp2_minus(np.minimum(gaps_ms, HISTORY_MS) / half_life_ms)
    return np.where(gaps_ms < HISTORY_MS, left, 0.0)


def factor(gap_ms: int, half_life_ms: int) -> float:
    """`factors` of one gap."""
    return float(factors(np.array([gap_ms], np.int64), half_life_ms)[0])


def carried(mean: Mean, left: Iterable[float], values: Iterable[int]) -> Iterator[Mean]:
    """The mean after each event: the factor since the event before it, and its value (NULL if missing)."""
    weighted, weight = mean
    for share, value in zip(left, values, strict=True):
        weighted, weight = weighted * share, weight * share
        if value != NULL:
            weighted, weight = weighted + value, weight + 1.0
        yield Mean(weighted, weight)


def as_bits(means: Sequence[Mean]) -> list[Ints]:
    """Numerators and denominators as the int64 that have their bits."""
    pairs = np.array(means, np.float64).reshape(-1, 2)
    return [np.ascontiguousarray(pairs[:, place]).view(np.int64) for place in (0, 1)]


def from_bits(weighted: Ints, weight: Ints) -> list[Mean]:
    """The reverse of `as_bits`."""
    pair = (np.ascontiguousarray(bits).view(np.float64).tolist() for bits in (weighted, weight))
    return [Mean(*both) for both in zip(*pair, strict=True)]
