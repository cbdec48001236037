"""How good a bundle's scores are on labelled rows, and how sure one can be of that."""

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from scoring.bundle import Thresholds
from streamscore.evaluation import intervals
from streamscore.evaluation.cards import card_precision
from streamscore.evaluation.intervals import Draws, Ranking, ratio_of_sums, resampled
from streamscore.evaluation.measured import Level, Measures, Reference, Value
from streamscore.evaluation.rows import Labels, Rows, Scores
from streamscore.evaluation.series import calibration_error, series


def measures(rows: Rows, thresholds: Thresholds, capacity: int, card_rows: Rows) -> Measures:
    """Every measure of `rows` with its interval; card precision of `card_rows`, k = `capacity`."""
    days = np.unique(rows.days)
    weights = _weights(len(days))
    ranking = Ranking(rows)
    cards = card_precision(card_rows, capacity)
    curves = series(rows.scores, rows.labels)
    both = 0 < rows.labels.sum() < rows.labels.size
    return Measures(
        roc_auc=_value(
            roc_auc_score(rows.labels, rows.scores) if both else np.nan,
            resampled(ranking.roc_auc, weights),
        ),
        average_precision=_value(
            average_precision_score(rows.labels, rows.scores) if both else np.nan,
            resampled(ranking.average_precision, weights),
        ),
        card_precision=_mean(cards.precisions),
        card_precision_by_day=[round(one, 6) for one in cards.precisions],
        defrauded_by_day=cards.defrauded,
        brier=_brier(rows, weights),
        calibration_error=round(calibration_error(curves.calibration), 6),
        levels=levels(rows, thresholds),
        series=curves,
    )


def levels(rows: Rows, thresholds: Thresholds) -> dict[str, Level]:
    """What reaches each threshold."""
    weights = _weights(len(np.unique(rows.days)))
    each = (("review", thresholds.review), ("block", thresholds.block))
    return {name: _level(rows, threshold, weights) for name, threshold in each}


def _level(rows: Rows, threshold: float, weights: Draws) -> Level:
    days, places = np.unique(rows.days, return_inverse=True)
    alerted = rows.scores >= threshold

    def sums(mask: Labels, of: Scores | None = None) -> Scores:
        return np.bincount(places[mask], None if of is None else of[mask], len(days)).astype(float)

    events, alerts, hits = sums(np.ones_like(alerted)), sums(alerted), sums(alerted & rows.labels)
    amount = None
    if rows.amounts is not None:
        caught = sums(alerted & rows.labels, rows.amounts)
        amount = _ratio(caught, sums(rows.labels, rows.amounts), weights)
    return Level(
        threshold=threshold,
        alerts_per_day=_ratio(alerts, np.ones(len(days)), weights),
        alert_rate=_ratio(alerts, events, weights),
        precision=_ratio(hits, alerts, weights),
        recall=_ratio(hits, sums(rows.labels), weights),
        amount_caught=amount,
    )


def compare(rows: Rows, reference: Scores, thresholds: Thresholds) -> Reference:
    """The scores of `rows` beside `reference`, the trained model's own, under the same resamples."""
    weights = _weights(len(np.unique(rows.days)))
    served, trained = Ranking(rows), Ranking(rows, reference)
    auc, precision = roc_auc_score(rows.labels, reference), average_precision_score(rows.labels, reference)
    flips = sum(
        int(((rows.scores >= limit) != (reference >= limit)).sum())
        for limit in (thresholds.review, thresholds.block)
    )
    return Reference(
        roc_auc=float(auc),
        average_precision=float(precision),
        roc_auc_difference=_value(
            roc_auc_score(rows.labels, rows.scores) - auc,
            resampled(served.roc_auc, weights) - resampled(trained.roc_auc, weights),
        ),
        average_precision_difference=_value(
            average_precision_score(rows.labels, rows.scores) - precision,
            resampled(served.average_precision, weights) - resampled(trained.average_precision, weights),
        ),
        largest_difference=float(np.abs(rows.scores - reference).max()),
        flips=flips,
    )


def _weights(days: int) -> Draws:
    """No resamples of a single day: it says nothing of other days."""
    return intervals.draws(days) if days > 1 else np.empty((0, days))


def _brier(rows: Rows, weights: Draws) -> Value:
    places = np.unique(rows.days, return_inverse=True)[1]
    errors = np.bincount(places, (rows.scores - rows.labels) ** 2)
    return _value(
        brier_score_loss(rows.labels, rows.scores), ratio_of_sums(weights, errors, np.bincount(places))
    )


def _mean(values: list[float]) -> Value:
    return _ratio(np.array(values), np.ones(len(values)), _weights(len(values)))


def _ratio(parts: Scores, wholes: Scores, weights: Draws) -> Value:
    total = wholes.sum()
    return _value(parts.sum() / total if total else np.nan, ratio_of_sums(weights, parts, wholes))


def _value(value: float, under_resamples: Scores) -> Value:
    if not np.isfinite(value):
        return Value(None)
    ends = intervals.interval(under_resamples)
    low, high = (None, None) if ends is None else (round(end, 6) for end in ends)
    return Value(round(float(value), 6), low, high)
