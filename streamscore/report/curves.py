"""Precision against recall, and score against outcome, from counts of labels by score cell. Pure."""

import math

import numpy as np

from monitor.labelled import SCORE_STEPS, LabelSketch, by_score, halves
from streamscore.report.content import Calibrated

_CELLS_A_GROUP = 8
"""Cells are 1/8 log-odds wide: a group of calibration is one."""


def precision_recall(labels: LabelSketch) -> tuple[tuple[float, float], ...]:
    """(recall, precision) at each score cell's lower edge, from the highest down; empty without positives."""
    negatives, positives = (cells[::-1].clip(min=0) for cells in by_score(labels))
    if not positives.sum():
        return ()
    used = (negatives + positives) > 0
    caught, flagged = positives.cumsum()[used], (negatives + positives).cumsum()[used]
    recall, precision = caught / positives.sum(), caught / flagged
    return tuple(zip(recall.tolist(), precision.tolist(), strict=True))


def calibration(labels: LabelSketch) -> tuple[Calibrated, ...]:
    """Mean score and share of positives of the labelled decisions in each log-odds, empty ones left out."""
    negatives, positives = (cells.clip(min=0) for cells in by_score(labels))
    sums = halves(labels, "scores")[:, :-1].sum(axis=0) / SCORE_STEPS
    starts = np.arange(0, len(sums), _CELLS_A_GROUP)
    many, positive, scores = (np.add.reduceat(x, starts) for x in (negatives + positives, positives, sums))
    return tuple(
        Calibrated(float(score / n), float(p / n), *wilson(int(p), int(n)), int(n))
        for n, p, score in zip(many, positive, scores, strict=True)
        if n
    )


def wilson(positive: int, many: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % score interval of a share. Wilson, J. Am. Stat. Assoc. 22(158), 1927.

    >>> [round(bound, 4) for bound in wilson(5, 10)]
    [0.2366, 0.7634]
    """
    share, spread = positive / many, z * z / many
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / many + spread / (4 * many))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))
