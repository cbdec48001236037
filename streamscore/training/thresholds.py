"""Thresholds from the share of events that people can review."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.bundle import Thresholds
from scoring.model import SCORE_DECIMALS
from streamscore.training.proof import MAX_DIFFERENCE

NEVER = 1.0 + 10.0**-SCORE_DECIMALS
"""A threshold that no score reaches."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """The share of events a team can review, and the share to block outright; thresholds are proposed from
    them.
    """

    review_share: float = 0.01
    block_share: float = 0.002


def propose(scores: npt.NDArray[np.float64], alerts: Alerts) -> Thresholds:
    """Thresholds that at most these shares of the scores reach, each midway between two scores that occur."""
    review, block = (reached_by(scores, share) for share in (alerts.review_share, alerts.block_share))
    return Thresholds(review=review, block=max(review, block))


def reached_by(scores: npt.NDArray[np.float64], share: float) -> float:
    """The least threshold that at most `share` of the scores reach.

    It keeps off every score by more than two computations of that score may differ, so none is decided
    otherwise. 1.0 where only a score of 1 would be above, and past it if even those are too many.
    """
    values, counts = np.unique(scores, return_counts=True)
    reaching = np.cumsum(counts[::-1])[::-1] / scores.size
    below = np.concatenate([[0.0], values[:-1]])
    allowed = np.flatnonzero((reaching <= share) & (values - below > 2 * MAX_DIFFERENCE))
    if not allowed.size:
        return 1.0 if values[-1] < 1 - MAX_DIFFERENCE else NEVER
    lowest = int(allowed[0])
    return float(round((values[lowest] + below[lowest]) / 2, SCORE_DECIMALS))
