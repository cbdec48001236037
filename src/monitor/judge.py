"""What of a comparison is drift: past a threshold of the policy, and beyond what sampling explains. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from monitor.compare import Comparison, Row
from scoring.watch import DriftWatch

PSI, MEAN, STD = "psi", "mean", "std"
MISSING, OUT_OF_RANGE = "missing", "out_of_range"
PREDICTION_RATE, LABEL_RATE, ROC_AUC = "prediction_rate", "label_rate", "roc_auc"
SCORE = "score"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that changed: `value` of `kind` is past its threshold, and beyond what sampling explains.

    `baseline` and `now` are what it changed from and to: means (psi, mean), standard deviations (std),
    shares, ROC AUC. `name` is a feature, or `score`. `retrain` says that it is past that threshold too.
    `since` and `until` bound the windows, or the days, in which it was seen.
    """

    name: str
    kind: str
    value: float
    noise: float
    baseline: float
    now: float
    psi: float
    retrain: bool
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a model found; `judged` is False where there was too little to speak of drift."""

    judged: bool
    findings: tuple[Finding, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The features that drifted, once each, worst first."""
        return tuple(dict.fromkeys(f.name for f in self.findings if f.name != SCORE))

    @property
    def score_drifted(self) -> bool:
        """Whether what the model predicts, or the share of positives among labels, changed."""
        return any(f.name == SCORE and f.kind != ROC_AUC for f in self.findings)

    @property
    def performance_dropped(self) -> bool:
        """Whether ROC AUC fell."""
        return any(f.kind == ROC_AUC for f in self.findings)

    @property
    def advising(self) -> tuple[Finding, ...]:
        """What advises retraining: not what came by way of a broken feed, which is to be mended."""
        broken = {f.name for f in self.findings if f.kind in {MISSING, OUT_OF_RANGE}}
        return tuple(f for f in self.findings if f.retrain and f.name not in broken)

    @property
    def retrain(self) -> bool:
        """Whether retraining is advised."""
        return bool(self.advising)


def drift_verdict(watch: DriftWatch, comparisons: Sequence[tuple[Comparison, str, str]]) -> Verdict:
    """The verdict on comparisons of stretches (since, until), the whole first; one thing found in several
    counts once, as it stood out most. Only the whole advises retraining: a few windows pass.
    """
    judged = [(n == 0, *each) for n, each in enumerate(comparisons) if is_enough(watch, each[0])]
    found: dict[tuple[str, str], Finding] = {}
    for is_whole, comparison, since, until in judged:
        for seen in _findings(watch, comparison, since, until):
            finding = replace(seen, retrain=seen.retrain and is_whole)
            other = found.get((finding.name, finding.kind), finding)
            most = max(other, finding, key=lambda one: one.value)
            retrain = other.retrain or finding.retrain
            found[finding.name, finding.kind] = replace(most, retrain=retrain)
    return Verdict(bool(judged), tuple(sorted(found.values(), key=_worst_first)))


def is_enough(watch: DriftWatch, comparison: Comparison) -> bool:
    """Whether there are decisions enough, now and in the reference."""
    return min(comparison.decided, comparison.reference_decided) >= watch.min_decisions


def _findings(watch: DriftWatch, comparison: Comparison, since: str, until: str) -> Iterator[Finding]:
    for row in comparison.rows:
        for one in _measures(row) if row.comparable else ():
            if one.value > one.noise and one.least > getattr(watch.alert, one.kind):
                yield _finding(watch, one, row.name, row.psi, (since, until))
    rate = _prediction_rate(comparison)
    change = abs(rate.now - rate.before)
    if change > rate.noise and rate.least > watch.alert.prediction_rate:
        yield _finding(watch, rate, SCORE, comparison.score.psi, (since, until))


class _Measure(NamedTuple):
    """A value of a kind in its threshold's unit, and the least it is: half the noise bound, three sigmas,
    nearer to nothing. A threshold is passed by what is past it for all that.
    """

    kind: str
    value: float
    noise: float
    least: float
    before: float
    now: float


def _finding(watch: DriftWatch, one: _Measure, name: str, psi: float, stretch: tuple[str, str]) -> Finding:
    retrain = one.least > getattr(watch.retrain, one.kind)
    return Finding(name, one.kind, one.value, one.noise, one.before, one.now, psi, retrain, *stretch)


def _measures(row: Row) -> Iterator[_Measure]:
    missing = abs(row.missing - row.missing_reference)
    outside = abs(row.out_of_range - row.out_of_range_reference)
    for kind, value, noise, before, now in (
        (PSI, row.psi, row.psi_noise, row.mean_reference, row.mean),
        (MEAN, abs(row.mean_shift), row.mean_noise, row.mean_reference, row.mean),
        (MISSING, missing, row.missing_noise, row.missing_reference, row.missing),
        (OUT_OF_RANGE, outside, row.out_of_range_noise, row.out_of_range_reference, row.out_of_range),
    ):
        yield _Measure(kind, value, noise, value - noise / 2, before, now)
    factor = factor_of(1.0, row.std_ratio)
    least = factor / math.sqrt((row.std_noise**2 + 1) / 2)
    yield _Measure(STD, factor, row.std_noise, least, row.std_reference, row.std)


def _prediction_rate(comparison: Comparison) -> _Measure:
    then, now = comparison.prediction_rate_reference, comparison.prediction_rate
    noise = comparison.prediction_rate_noise
    return _Measure(PREDICTION_RATE, factor_of(then, now), noise, least_factor(then, now, noise), then, now)


def least_factor(then: float, now: float, noise: float) -> float:
    """The factor of a change that is smaller by half the noise.

    >>> least_factor(0.01, 0.025, 0.01), least_factor(0.01, 0.012, 0.01)
    (2.0, 1.0)
    """
    if math.isnan(then) or math.isnan(now):
        return math.nan
    change = max(0.0, abs(now - then) - noise / 2)
    return factor_of(then, then + math.copysign(change, now - then))


def factor_of(then: float, now: float) -> float:
    """By what factor it changed, up or down; infinite from or to nothing, NaN where one is not known.

    >>> factor_of(0.02, 0.01), factor_of(0.0, 0.0)
    (2.0, 1.0)
    """
    if math.isnan(then) or math.isnan(now):
        return math.nan
    low, high = sorted((then, now))
    if low <= 0:
        return math.inf if high > 0 else 1.0
    return high / low


def _worst_first(finding: Finding) -> tuple[float, str, str]:
    return (-finding.psi if not math.isnan(finding.psi) else 0.0, finding.name, finding.kind)
