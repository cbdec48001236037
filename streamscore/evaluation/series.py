"""An evaluation's curves as lists of numbers, for plots and for other programs."""

import numpy as np
from sklearn.metrics import precision_recall_curve

from streamscore.evaluation.measured import Reliability, Series
from streamscore.evaluation.rows import Labels, Scores

CURVE_POINTS = 200
BINS = 10
HISTOGRAM_BINS = 50


def series(scores: Scores, labels: Labels) -> Series:
    """The curves of some scored rows; the precision-recall curve thinned to CURVE_POINTS."""
    recall, precision = [], []
    if labels.any():
        precisions, recalls, _ = precision_recall_curve(labels, scores, drop_intermediate=True)
        places = np.unique(np.linspace(0, len(recalls) - 1, CURVE_POINTS).astype(int))[::-1]
        recall, precision = recalls[places].round(6).tolist(), precisions[places].round(6).tolist()
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    return Series(
        recall=recall,
        precision=precision,
        calibration=reliability(scores, labels),
        histogram_edges=edges.round(6).tolist(),
        negatives=np.histogram(scores[~labels], edges)[0].tolist(),
        positives=np.histogram(scores[labels], edges)[0].tolist(),
    )


def reliability(scores: Scores, labels: Labels) -> list[Reliability]:
    """Bins of about as many rows; equal scores are never parted, so few distinct scores are fewer bins."""
    cuts = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1], method="lower"))
    places = np.searchsorted(cuts, scores, side="left")
    found = [(scores[places == place], labels[places == place]) for place in np.unique(places)]
    return [
        Reliability(round(float(some.mean()), 6), round(float(of.mean()), 6), len(some)) for some, of in found
    ]


def calibration_error(bins: list[Reliability]) -> float:
    """Σ |mean score - share of positives| · rows / all rows. Naeini, Cooper and Hauskrecht, AAAI 2015."""
    total = sum(one.rows for one in bins)
    return sum(abs(one.predicted - one.observed) * one.rows for one in bins) / total
