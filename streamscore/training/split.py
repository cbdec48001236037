"""A time-ordered split: train, then a gap in which labels mature, then test. No row of the future trains a
model.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError
from stream_features.spec import Spec

DAY_MS = 86_400_000
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """How long each part should be, in ms. `gap_ms` is the time a label takes to be known."""

    train_ms: int = 7 * DAY_MS
    gap_ms: int = 7 * DAY_MS
    test_ms: int = 7 * DAY_MS

    @classmethod
    def of(cls, spec: Spec) -> Self:
        """The usual lengths, with the time the spec says a label takes."""
        known_after = spec.event.label_known_after_ms
        return cls() if known_after is None else cls(gap_ms=known_after)


@dataclass(frozen=True, slots=True)
class Split:
    """Half-open: train is [train_since, train_until), test [test_since, test_until). `notes` say what was
    shortened.
    """

    train_since: int
    train_until: int
    test_since: int
    test_until: int
    notes: tuple[str, ...] = ()

    def train(self, times: Times) -> npt.NDArray[np.bool_]:
        """Which rows train."""
        return (times >= self.train_since) & (times < self.train_until)

    def test(self, times: Times) -> npt.NDArray[np.bool_]:
        """Which rows test."""
        return (times >= self.test_since) & (times < self.test_until)


def split(times: Times, windows: Windows, until_ms: int | None = None) -> Split:
    """The latest test window (until `until_ms`), the gap before it, and the train window before that.

    History too short for a train window as long as the test is divided 3 : 1 : 1, and a note says so.
    """
    if not times.size:
        raise InvalidInputError("there are no labelled rows to train on")
    first, end = int(times.min()), int(times.max()) + 1
    if until_ms is not None:
        if not first < until_ms:
            raise InvalidInputError("--until is before the first labelled row: there is nothing to train on")
        end = until_ms
    gap, test, notes = windows.gap_ms, windows.test_ms, []
    if end - first < gap + 2 * test:
        gap, test = min(gap, (end - first) // 5), min(test, (end - first) // 5)
        notes.append(
            f"history is {_days(end - first)} long, too short for a gap of {_days(windows.gap_ms)} and "
            f"a test of {_days(windows.test_ms)}: the gap is {_days(gap)} and the test {_days(test)}, "
            f"so some training labels would not yet have been known when the test began"
        )
    train_until = end - test - gap
    return Split(max(first, train_until - windows.train_ms), train_until, end - test, end, tuple(notes))


def _days(span_ms: int) -> str:
    return f"{span_ms / DAY_MS:.3g} days"
