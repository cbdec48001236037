"""How decisions fared by their labels: of whole days whose labels have matured, and nothing assumed of those
still open. Pure.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from monitor import drift, performance
from monitor.judge import LABEL_RATE, ROC_AUC, SCORE, Finding, factor_of, least_factor
from monitor.labelled import AMOUNT_STEPS, LABELS, SCORE_STEPS, LabelSketch, by_score, halves, labels_of
from monitor.performance import Bounded
from monitor.sketch import total
from scoring.bundle import Bundle
from scoring.watch import PerformanceWatch

SIGMAS = 4.0
"""ROC AUC is looked at on one new day of labels a day: once in 30,000 looks sampling alone goes so far."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What labels say; flagged is review or block. Amounts are sums of the policy's amount field: of frauds
    flagged (caught) and approved (missed), and of the rest that was flagged.

    `roc_auc_noise` is SIGMAS standard errors; `error` of the bounded ones is what binning can hide.
    """

    labelled: int
    positives: int
    label_rate: float
    roc_auc: Bounded
    roc_auc_noise: float
    average_precision: Bounded
    precision: float
    recall: float
    alert_rate: float
    brier: float
    mae: float
    rmse: float
    calibration_error: float
    amount_caught: float
    amount_missed: float
    amount_flagged_wrongly: float


@dataclass(frozen=True, slots=True)
class Performance:
    """Of the decisions of the UTC days `since` <= day < `until`, all older than labels take: how many there
    are, how many labels never came (`open`), and what the others say.

    `waiting` are later decisions without a label: too young to be judged.
    """

    since: str
    until: str
    decided: int
    open: int
    waiting: int
    labels: Labels | None
    roc_auc_baseline: float
    label_rate_baseline: float


def fared(sketches: Iterable[LabelSketch]) -> Labels | None:
    """What these labels say; None of none."""
    sketch = total(LABELS, sketches)
    if labels_of(sketch) <= 0:
        return None
    negatives, positives = by_score(sketch)
    by_decision, amounts = halves(sketch, "decisions"), halves(sketch, "amounts") / AMOUNT_STEPS
    made = performance.decided(*by_decision)
    scored, positive = int(negatives.sum() + positives.sum()), int(positives.sum())
    sums = halves(sketch, "scores")[:, :-1] / SCORE_STEPS
    squares = float(sketch.part("score_squares").sum()) / SCORE_STEPS
    of_positives = float(sums[1].sum())
    auc = performance.roc_auc(negatives, positives)
    brier = performance.brier(scored, positive, squares, of_positives)
    return Labels(
        labelled=labels_of(sketch),
        positives=int(by_decision[1].sum()),
        label_rate=float(by_decision[1].sum() / labels_of(sketch)),
        roc_auc=auc,
        roc_auc_noise=SIGMAS * performance.roc_auc_noise(auc.value, scored - positive, positive),
        average_precision=performance.average_precision(negatives, positives),
        precision=made.precision,
        recall=made.recall,
        alert_rate=made.alert_rate,
        brier=brier,
        mae=performance.mean_absolute_error(scored, positive, float(sums.sum()), of_positives),
        rmse=math.sqrt(max(0.0, brier)) if not math.isnan(brier) else math.nan,
        calibration_error=performance.calibration_error(negatives, positives, sums.sum(axis=0)),
        amount_caught=float(amounts[1, 1:].sum()),
        amount_missed=float(amounts[1, 0]),
        amount_flagged_wrongly=float(amounts[0, 1:].sum()),
    )


def label_rate_of(bundle: Bundle) -> float:
    """The share of positives in the bundle's test; NaN if it says nothing of it."""
    return bundle.test.positives / bundle.test.rows if bundle.test.rows else math.nan


def findings(watch: PerformanceWatch, bundle: Bundle, found: Performance) -> list[Finding]:
    """What is worse than the policy bears, and beyond what binning and sampling explain."""
    labels = found.labels
    if labels is None or labels.positives < watch.min_positives:
        return []
    return [*_roc_auc(watch, bundle, found, labels), *_label_rate(watch, bundle, found, labels)]


def _roc_auc(
    watch: PerformanceWatch, bundle: Bundle, found: Performance, labels: Labels
) -> Iterable[Finding]:
    baseline, now = found.roc_auc_baseline, labels.roc_auc
    test = bundle.test
    then = SIGMAS * performance.roc_auc_noise(baseline, test.rows - test.positives, test.positives)
    noise = now.error + math.hypot(labels.roc_auc_noise, 0.0 if math.isnan(then) else then)
    fall = baseline - now.value
    least = fall - noise / 2
    if fall > noise and least > watch.alert.roc_auc:
        retrain = least > watch.retrain.roc_auc
        yield Finding(
            SCORE, ROC_AUC, fall, noise, baseline, now.value, math.nan, retrain, found.since, found.until
        )


def _label_rate(
    watch: PerformanceWatch, bundle: Bundle, found: Performance, labels: Labels
) -> Iterable[Finding]:
    then, now = found.label_rate_baseline, labels.label_rate
    noise = drift.share_noise(then, bundle.test.rows, now, labels.labelled)
    factor, least = factor_of(then, now), least_factor(then, now, noise)
    if abs(now - then) > noise and least > watch.alert.label_rate:
        retrain = least > watch.retrain.label_rate
        yield Finding(
            SCORE, LABEL_RATE, factor, noise, then, now, math.nan, retrain, found.since, found.until
        )
