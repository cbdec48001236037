"""Why a score is high: occlusion. Each feature in turn is replaced by its training median; what the score
loses is its part.

Contributions are differences of log-odds, the scale on which evidence adds up (I. J. Good, *Probability and
the Weighing of Evidence*, 1950). Only what raises the score is a reason. Pure: the model is a function given.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

TOP = 3
_LIMIT = 1e-4
"""Scores nearer to 0 or 1 count as this near: the log-odds of a unanimous forest would be infinite."""


class Reason(NamedTuple):
    """A feature of this row, its value (None: missing), the training median, and by how much it raises the
    log-odds.
    """

    feature: str
    value: float | None
    median: float | None
    contribution: float


def explain(
    score: Callable[[Floats], Scores], names: Sequence[str], medians: Floats, rows: Floats
) -> list[list[Reason]]:
    """The TOP reasons of each row, strongest first, by one call of `score` with (1 + features) x rows
    rows.
    """
    count, width = rows.shape
    if not count:
        return []
    tried = np.repeat(rows[:, np.newaxis, :], width + 1, axis=1)
    diagonal = np.arange(width)
    tried[:, diagonal + 1, diagonal] = medians
    log_odds = _log_odds(score(tried.reshape(-1, width))).reshape(count, width + 1)
    lost = log_odds[:, :1] - log_odds[:, 1:]
    strongest = np.argsort(-lost, axis=1, kind="stable")[:, :TOP]
    return [
        [
            _reason(names[n], rows[row, n], medians[n], lost[row, n])
            for n in strongest[row]
            if lost[row, n] > 0
        ]
        for row in range(count)
    ]


def _log_odds(scores: Scores) -> Scores:
    bounded = np.clip(scores, _LIMIT, 1 - _LIMIT)
    return np.log(bounded / (1 - bounded))


def _reason(name: str, value: np.float32, median: np.float32, lost: np.float64) -> Reason:
    return Reason(name, _shortest(value), _shortest(median), round(float(lost), 4))


def _shortest(value: np.float32) -> float | None:
    """The shortest decimal that is this float32 (12.1, not 12.100000381), None for NaN."""
    return None if np.isnan(value) else float(str(value))
