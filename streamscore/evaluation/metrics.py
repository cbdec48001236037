"""What a bundle says of its model's quality, in one number each."""

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from scoring.bundle import Thresholds

Scores = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


def measure(scores: Scores, labels: Labels, thresholds: Thresholds) -> dict[str, float]:
    """ROC AUC, average precision and Brier score, and rate, precision and recall of alerts at each
    threshold.
    """
    found: dict[str, float] = {"brier": brier_score_loss(labels, scores)}
    if 0 < labels.sum() < labels.size:
        found["roc_auc"] = roc_auc_score(labels, scores)
        found["average_precision"] = average_precision_score(labels, scores)
    for name, threshold in (("review", thresholds.review), ("block", thresholds.block)):
        alerted = scores >= threshold
        found[f"{name}_rate"] = alerted.mean()
        found[f"{name}_precision"] = labels[alerted].mean() if alerted.any() else 0.0
        found[f"{name}_recall"] = alerted[labels].mean() if labels.any() else 0.0
    return {name: round(float(value), 6) for name, value in found.items()}
