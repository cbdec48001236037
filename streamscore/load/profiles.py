"""How the rate of a load goes over its time. Pure; time is an argument."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Shape = Callable[[Floats], Floats]
"""The rate at each part of the time (0 to 1), as a multiple of the asked one."""

BURST, SWING = 5.0, 0.8
"""A burst is so many times the rate; a day's peak and trough are so far from its mean."""
_GRID = 10_001


def _steady(part: Floats) -> Floats:
    return np.ones_like(part)


def _burst(part: Floats) -> Floats:
    """In the middle fifth."""
    return np.where((part >= 0.4) & (part < 0.6), BURST, 1.0)


def _daily(part: Floats) -> Floats:
    """From the night's trough over the noon's peak to the next trough, its mean the asked rate."""
    return 1.0 - SWING * np.cos(2 * np.pi * part)


SHAPES: Mapping[str, Shape] = MappingProxyType({"steady": _steady, "burst": _burst, "daily": _daily})


@dataclass(frozen=True)
class Profile:
    """`rate` in events a second, for `length_s` seconds."""

    shape: str
    rate: float
    length_s: float

    @property
    def events(self) -> int:
        """How many there are in all."""
        return round(float(self._due[-1]))

    @property
    def peak(self) -> float:
        """The greatest rate, events a second."""
        return self.rate * float(SHAPES[self.shape](np.linspace(0, 1, _GRID)).max())

    def due(self, elapsed_s: float) -> int:
        """How many should have been put that long after the beginning.

        >>> Profile("steady", 10.0, 60.0).due(1.5)
        15
        """
        return min(self.events, round(float(np.interp(elapsed_s, self._seconds, self._due))))

    @cached_property
    def _seconds(self) -> Floats:
        return np.linspace(0, self.length_s, _GRID)

    @cached_property
    def _due(self) -> Floats:
        """The integral of the rate, by the trapezium rule."""
        rates = self.rate * SHAPES[self.shape](np.linspace(0, 1, _GRID))
        step_s = self.length_s / (_GRID - 1)
        return np.concatenate(([0.0], np.cumsum((rates[1:] + rates[:-1]) / 2 * step_s)))
