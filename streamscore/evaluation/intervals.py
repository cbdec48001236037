"""Confidence intervals by bootstrap over whole days: events of a day share their frauds, so rows are no
independent draws. Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentiles).
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from streamscore.evaluation.rows import Ints, Labels, Rows, Scores

RESAMPLES = 500
_SEED = 0
Draws = npt.NDArray[np.float64]
Interval = tuple[float, float]


def draws(days: int, resamples: int = RESAMPLES) -> Draws:
    """How often each day is drawn in each resample [resamples, days]; the same for the same numbers."""
    drawn = np.random.default_rng(_SEED).integers(0, days, (resamples, days))
    return np.apply_along_axis(np.bincount, 1, drawn, minlength=days).astype(np.float64)


def interval(values: Scores) -> Interval | None:
    """The middle 95 % of what the resamples gave; None if none of them could."""
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


class Ranking:
    """Rows in descending order of score, to weigh their days again and again."""

    def __init__(self, rows: Rows, scores: Scores | None = None) -> None:
        scores = rows.scores if scores is None else scores
        order = np.argsort(-scores, kind="stable")
        ordered = scores[order]
        self._labels: Labels = rows.labels[order]
        self._places: Ints = np.unique(rows.days, return_inverse=True)[1][order]
        self._ends: Ints = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def roc_auc(self, weights: Draws) -> float:
        """The chance that a positive is above a negative, ties half; NaN without both."""
        true, false = self._counts(weights)
        if not true[-1] * false[-1]:
            return np.nan
        return float(np.trapezoid(true, false) / (true[-1] * false[-1]))

    def average_precision(self, weights: Draws) -> float:
        """Σ (Rₖ - Rₖ₋₁) · Pₖ over the distinct scores; NaN without positives."""
        true, false = self._counts(weights)
        if not true[-1]:
            return np.nan
        flagged = np.maximum(true + false, np.finfo(float).tiny)
        return float((np.diff(true) * (true / flagged)[1:]).sum() / true[-1])

    def _counts(self, weights: Draws) -> tuple[Scores, Scores]:
        """Positives and negatives at or above each distinct score, from none on."""
        each = weights[self._places]
        sums = (np.cumsum(np.where(mask, each, 0.0))[self._ends] for mask in (self._labels, ~self._labels))
        true, false = (np.concatenate([[0.0], some]) for some in sums)
        return true, false


def resampled(measure: Callable[[Draws], float], weights: Draws) -> Scores:
    """The measure under each resample's weights of days."""
    return np.array([measure(one) for one in weights])


def ratio_of_sums(weights: Draws, parts: npt.ArrayLike, wholes: npt.ArrayLike) -> Scores:
    """Σ parts / Σ wholes over the drawn days; NaN where the wholes are none."""
    part, whole = weights @ np.asarray(parts, float), weights @ np.asarray(wholes, float)
    ratios: Scores = np.divide(part, whole, out=np.full(len(weights), np.nan), where=whole > 0)
    return ratios
