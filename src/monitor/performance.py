"""How well scores rank and estimate, from counts of labels by score cell (ascending) and by decision.

Corrections can leave a cell of one window below zero; such cells count as zero here. Labels still open are
no labels: nothing is assumed of them.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Cells = npt.ArrayLike


@dataclass(frozen=True, slots=True)
class Bounded:
    """A value computed from binned scores, and how far the exact one can be from it."""

    value: float
    error: float


def roc_auc(negatives: Cells, positives: Cells) -> Bounded:
    """Chance that a positive scores above a negative, ties half: Mann-Whitney's U over the cells.

    Pairs inside one cell count half, so the exact value is within half their share of all pairs. NaN without
    both classes. Hanley and McNeil, Radiology 143, 1982.

    >>> roc_auc([2, 1], [0, 3])
    Bounded(value=0.8333333333333334, error=0.16666666666666666)
    """
    n, p = _counts(negatives), _counts(positives)
    pairs = n.sum() * p.sum()
    if pairs <= 0:
        return Bounded(math.nan, math.nan)
    below = np.cumsum(n) - n
    tied = float((p * n).sum()) / 2
    return Bounded((float((p * below).sum()) + tied) / float(pairs), tied / float(pairs))


def average_precision(negatives: Cells, positives: Cells) -> Bounded:
    """Σ (Rₖ - Rₖ₋₁) · Pₖ from the highest cell down, the cells' lower edges being the thresholds.

    The error is the larger of the distances to the two extremes inside the cells: all positives tied and
    first, all negatives first. NaN without positives.

    >>> average_precision([1, 0], [1, 1]).value
    0.8333333333333333
    """
    n, p = _counts(negatives)[::-1], _counts(positives)[::-1]
    total = p.sum()
    if total <= 0:
        return Bounded(math.nan, math.nan)
    true, false = np.cumsum(p), np.cumsum(n)
    value = _area(p / total, true, false)
    best = _area(p / total, true, false - n)
    worst = _ordered_area(p, true, false)
    return Bounded(value, max(best - value, value - worst, 0.0))


@dataclass(frozen=True, slots=True)
class Decided:
    """How the decisions fared: flagged means review or block."""

    precision: float
    recall: float
    alert_rate: float
    labelled: int


def decided(negatives: Cells, positives: Cells) -> Decided:
    """Precision and recall of review-or-block, exact, from label counts by decision (approve, review, block).

    `alert_rate` is the flagged share of labelled decisions. NaN where there is nothing to divide by.

    >>> decided([90, 5, 1], [1, 2, 1])
    Decided(precision=0.3333333333333333, recall=0.75, alert_rate=0.09, labelled=100)
    """
    n, p = _counts(negatives), _counts(positives)
    flagged, caught = float(n[1:].sum() + p[1:].sum()), float(p[1:].sum())
    total = float(n.sum() + p.sum())
    return Decided(
        _ratio(caught, flagged), _ratio(caught, float(p.sum())), _ratio(flagged, total), int(total)
    )


def brier(labelled: float, positives: float, sum_of_squares: float, sum_of_positive_scores: float) -> float:
    """Mean squared error of the score as a probability: (Σs² - 2·Σ s of positives + positives) / labelled.

    Brier, Monthly Weather Review 78, 1950. NaN without labels.

    >>> round(brier(2, 1, 0.9**2 + 0.2**2, 0.9), 3)
    0.025
    """
    return _ratio(sum_of_squares - 2 * sum_of_positive_scores + positives, labelled)


def mean_absolute_error(
    labelled: float, positives: float, sum_of_scores: float, sum_of_positive_scores: float
) -> float:
    """Mean of |score - label|: (Σs of negatives + positives - Σs of positives) / labelled.

    NaN without labels.

    >>> round(mean_absolute_error(2, 1, 0.9 + 0.2, 0.9), 3)
    0.15
    """
    negative_scores = sum_of_scores - sum_of_positive_scores
    return _ratio(negative_scores + positives - sum_of_positive_scores, labelled)


def roc_auc_noise(auc: float, negatives: float, positives: float) -> float:
    """The standard error of a ROC AUC from so many of each class. NaN without both.

    Hanley and McNeil, Radiology 143, 1982, eq. 1 with Q1 = A/(2-A), Q2 = 2A²/(1+A).

    >>> round(roc_auc_noise(0.9, 10_000, 100), 4)
    0.0207
    """
    if min(negatives, positives) <= 0 or math.isnan(auc):
        return math.nan
    both_above, both_below = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    square = auc**2
    spread = (positives - 1) * (both_above - square) + (negatives - 1) * (both_below - square)
    return math.sqrt(max(0.0, auc * (1 - auc) + spread) / (negatives * positives))


def calibration_error(negatives: Cells, positives: Cells, score_sums: Cells) -> float:
    """Expected calibration error: Σ over cells of |Σ scores - positives| / labelled. NaN without labels.

    Naeini, Cooper and Hauskrecht, AAAI 2015, with the score's own cells as bins.
    """
    n, p = _counts(negatives), _counts(positives)
    sums = np.asarray(score_sums, dtype=np.float64)
    return _ratio(float(np.abs(sums - p).sum()), float(n.sum() + p.sum()))


def _counts(cells: Cells) -> npt.NDArray[np.float64]:
    return np.maximum(np.asarray(cells, dtype=np.float64), 0.0)


def _area(
    weights: npt.NDArray[np.float64], true: npt.NDArray[np.float64], false: npt.NDArray[np.float64]
) -> float:
    flagged = true + false
    return float((weights * np.divide(true, flagged, out=np.zeros_like(true), where=flagged > 0)).sum())


def _ordered_area(
    p: npt.NDArray[np.float64], true: npt.NDArray[np.float64], false: npt.NDArray[np.float64]
) -> float:
    """Average precision if each positive is its own threshold and `false` negatives precede its cell's."""
    area = 0.0
    for mine, up_to, ahead in zip(p, true, false, strict=True):
        ranks = np.arange(up_to - mine + 1, up_to + 1)
        area += float((ranks / (ranks + ahead)).sum())
    return area / float(p.sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
