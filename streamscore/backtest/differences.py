"""How sure the differences between two sides are: a bootstrap of whole days (`streamscore.evaluation`), both
sides on the same days each time. Pure.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamscore.backtest.result import Interval
from streamscore.evaluation.intervals import Draws, Ranking, draws, interval, ratio_of_sums, resampled
from streamscore.evaluation.rows import Rows

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_LEAST_DAYS = 5
"""Of fewer days a resample says little, and no interval is given."""


class Side(NamedTuple):
    """One side's scores (NaN where there is none) and alerts (review or block)."""

    scores: Floats
    alerts: Flags


class Judged(NamedTuple):
    """Rows with a label: their days, how many events each stands for, and the rows that both sides scored."""

    days: npt.NDArray[np.int64]
    weights: Floats
    labels: Flags
    scored: Flags


def differences(rows: Judged, before: Side, after: Side) -> dict[str, Interval]:
    """After minus before of each measure of `Quality`, with its interval where there are days enough."""
    days, places = np.unique(rows.days, return_inverse=True)
    weighed = np.ones((1, len(days)))
    if len(days) >= _LEAST_DAYS:
        weighed = np.concatenate([weighed, draws(len(days))])
    found = {}
    for name in ("roc_auc", "average_precision"):
        found[name] = _interval(*(_ranked(rows, side, places, name, weighed) for side in (before, after)))
    for name in ("precision", "recall", "alert_rate"):
        found[name] = _interval(*(_shares(rows, side, places, name, weighed) for side in (before, after)))
    return found


def _ranked(rows: Judged, side: Side, places: Ints, name: str, weighed: Draws) -> Floats:
    """The measure under each weighing of days: the first is the rows as they are. Rows of one day and one
    weight are weighed together.
    """
    if not rows.scored.any():
        return np.full(len(weighed), np.nan)
    own = np.stack([places[rows.scored].astype(np.float64), rows.weights[rows.scored]])
    (day, weight), groups = np.unique(own, axis=1, return_inverse=True)
    nobody = np.zeros(len(groups), np.int64)
    ranking = Ranking(Rows(groups, nobody, rows.labels[rows.scored], side.scores[rows.scored]))
    measure = ranking.roc_auc if name == "roc_auc" else ranking.average_precision
    return resampled(measure, weighed[:, day.astype(np.int64)] * weight)


def _shares(rows: Judged, side: Side, places: Ints, name: str, weighed: Draws) -> Floats:
    part, whole = {
        "precision": (side.alerts & rows.labels, side.alerts),
        "recall": (side.alerts & rows.labels, rows.labels),
        "alert_rate": (side.alerts, np.ones(len(rows.labels), bool)),
    }[name]
    sums = [np.bincount(places, rows.weights * flags, weighed.shape[1]) for flags in (part, whole)]
    return ratio_of_sums(weighed, *sums)


def _interval(before: Floats, after: Floats) -> Interval:
    difference, *resamples = after - before
    if not np.isfinite(difference):
        return Interval(difference=None)
    low, high = (interval(np.array(resamples)) if resamples else None) or (None, None)
    return Interval(difference=float(difference), low=low, high=high)
