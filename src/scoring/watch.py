"""What the monitor goes by: thresholds for alarms and, apart from them, for retraining. Pure data."""

from typing import NamedTuple

REFERENCES = ("seasonal", "baseline")


class DriftLimits(NamedTuple):
    """Beyond any of these something drifted. `psi` is an index; `mean` in standard deviations of the
    reference; `std` and `prediction_rate` factors, up or down; `missing` and `out_of_range` differences of
    shares.
    """

    psi: float = 0.2
    mean: float = 0.3
    std: float = 2.0
    missing: float = 0.05
    out_of_range: float = 0.05
    prediction_rate: float = 1.5


class DriftWatch(NamedTuple):
    """`reference` is what windows are compared with; fewer than `min_decisions` are not judged."""

    reference: str = "seasonal"
    min_decisions: int = 500
    alert: DriftLimits = DriftLimits()
    retrain: DriftLimits = DriftLimits(psi=0.35, mean=0.6, std=3.0, prediction_rate=2.5)


class PerformanceLimits(NamedTuple):
    """How far ROC AUC may fall below the bundle's own, and by what factor the share of positives may
    change.
    """

    roc_auc: float = 0.05
    label_rate: float = 1.5


class PerformanceWatch(NamedTuple):
    """Judged are the decisions of the last `days` whose labels have matured, with `min_positives` at least.

    `amount` is the kept field that is money, for what was caught and missed.
    """

    days: int = 7
    min_positives: int = 30
    amount: str | None = None
    alert: PerformanceLimits = PerformanceLimits()
    retrain: PerformanceLimits = PerformanceLimits(roc_auc=0.1, label_rate=2.5)


class CostWatch(NamedTuple):
    """The budget of a million decisions in US dollars, if there is one."""

    per_million_usd: float | None = None


class Watch(NamedTuple):
    """All that the monitor goes by."""

    drift: DriftWatch = DriftWatch()
    performance: PerformanceWatch = PerformanceWatch()
    cost: CostWatch = CostWatch()
