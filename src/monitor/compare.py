"""A stretch of windows against the model's baseline, by variable, and how labels turned out. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from monitor import drift, performance
from monitor.performance import Bounded
from monitor.sketch import LATENCY_EDGES_MS, MOMENT_STEPS, SCORE_STEPS, Bins, Counts, Layout, Sketch, zero
from scoring.bundle import Bundle

ENOUGH = 200
"""Fewer decisions than this are shown but raise nothing: their PSI is mostly noise."""


@dataclass(frozen=True, slots=True)
class Row:
    """One variable. `psi_noise` is what sampling explains; shifts are in baseline standard deviations."""

    name: str
    psi: float
    psi_noise: float
    jensen_shannon: float
    kolmogorov_smirnov: float
    mean_shift: float
    std_ratio: float
    missing: float
    missing_baseline: float
    out_of_range: float

    @property
    def beyond_noise(self) -> bool:
        """Whether sampling does not explain the PSI."""
        return self.psi > self.psi_noise


@dataclass(frozen=True, slots=True)
class Labels:
    """How the labelled decisions fared; None of it is known without labels."""

    labelled: int
    positives: int
    roc_auc: Bounded
    average_precision: Bounded
    precision: float
    recall: float
    alert_rate: float
    brier: float
    calibration_error: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a stretch of windows says about a model; features by falling PSI."""

    decided: int
    alert_rate: float
    latency_p50_ms: float
    latency_p99_ms: float
    score: Row
    features: tuple[Row, ...]
    labels: Labels | None

    @property
    def enough(self) -> bool:
        """Whether there are enough decisions to speak of drift."""
        return self.decided >= ENOUGH


def total(layout: Layout, sketches: Iterable[Sketch]) -> Sketch:
    """Their sum."""
    return sum(sketches, zero(layout))


def compare(bundle: Bundle, window: Sketch) -> Comparison:
    """The window's sketch, made on the bundle's layout, against the bundle's baselines."""
    baselines = {feature.name: feature.baseline.counts for feature in bundle.features}
    rows = [_row(bins, baselines[bins.name], counts, moments) for bins, counts, moments in window.features()]
    rows.sort(key=lambda row: -row.psi if row.psi == row.psi else 1.0)
    approve, *flagged = window.part("decisions").tolist()
    return Comparison(
        decided=window.decided,
        alert_rate=sum(flagged) / (approve + sum(flagged)) if approve + sum(flagged) else math.nan,
        latency_p50_ms=quantile_ms(window.part("latency"), 0.50),
        latency_p99_ms=quantile_ms(window.part("latency"), 0.99),
        score=_row(
            window.layout.score, bundle.score.counts, window.part("score"), window.part("score_moments")
        ),
        features=tuple(rows),
        labels=labels_of(window) if window.labelled > 0 else None,
    )


def quantile_ms(latency: Counts, share: float) -> float:
    """The upper edge of the latency cell that holds this quantile (at most 20 % too high); NaN if empty."""
    known = latency[:-1].clip(min=0)
    if known.sum() <= 0:
        return math.nan
    cell = int((known.cumsum() < share * known.sum()).sum())
    return float(LATENCY_EDGES_MS[min(cell, len(LATENCY_EDGES_MS) - 1)])


def _row(bins: Bins, expected: Iterable[int], actual: Counts, moments: Counts) -> Row:
    baseline = list(expected)
    used = sum(1 for e, a in zip(baseline, actual, strict=True) if e > 0 or a > 0)
    mean, std = _shift(moments, int(actual[:-1].sum()))
    return Row(
        name=bins.name,
        psi=drift.psi(baseline, actual),
        psi_noise=drift.psi_noise(used, sum(baseline), int(actual.sum())),
        jensen_shannon=drift.jensen_shannon(baseline, actual),
        kolmogorov_smirnov=drift.kolmogorov_smirnov(baseline, actual),
        mean_shift=mean,
        std_ratio=std,
        missing=drift.share_missing(actual),
        missing_baseline=drift.share_missing(baseline),
        out_of_range=drift.share_out_of_range(actual),
    )


def _shift(moments: Counts, count: int) -> tuple[float, float]:
    if count <= 0:
        return math.nan, math.nan
    mean = float(moments[0]) / MOMENT_STEPS / count
    square = float(moments[1]) / MOMENT_STEPS**2 / count
    return mean, math.sqrt(max(0.0, square - mean * mean))


def labels_of(window: Sketch) -> Labels:
    """How the labels counted in a sketch fared; of any layout."""
    negatives, positives = window.label_counts()
    score_sums = window.part("label_scores").reshape(2, -1)[:, :-1] / SCORE_STEPS
    by_decision = window.part("label_decisions").reshape(2, -1)
    fared = performance.decided(*by_decision)
    scored, positive = int(negatives.sum() + positives.sum()), int(positives.sum())
    squares = float(window.part("label_score_squares").sum()) / SCORE_STEPS
    return Labels(
        labelled=window.labelled,
        positives=int(by_decision[1].sum()),
        roc_auc=performance.roc_auc(negatives, positives),
        average_precision=performance.average_precision(negatives, positives),
        precision=fared.precision,
        recall=fared.recall,
        alert_rate=fared.alert_rate,
        brier=performance.brier(scored, positive, squares, float(score_sums[1].sum())),
        calibration_error=performance.calibration_error(negatives, positives, score_sums.sum(axis=0)),
    )
