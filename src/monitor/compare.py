"""A stretch of windows against a reference, variable by variable. Pure.

The reference is the bundle's baseline, or other windows of the same model: those of the same hours last week.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor import drift
from monitor.bins import FOURTH_STEPS, LATENCY_EDGES_MS, MOMENT_STEPS, Bins, Counts
from monitor.decided import DecidedSketch, decisions_of, variables
from scoring.bundle import Baseline, Bundle

BASELINE, SEASONAL = "baseline", "seasonal"


@dataclass(frozen=True, slots=True)
class Row:
    """One variable: what it was in the reference, what it is, and what sampling explains of the difference.

    Shares are of all decisions (missing) or of the known values (out of range). Means and standard deviations
    are in the variable's own unit; `mean_shift` and its noise in standard deviations of the reference,
    `std_ratio` is now / reference and its noise a factor. NaN is what cannot be said.
    """

    name: str
    psi: float
    psi_noise: float
    jensen_shannon: float
    kolmogorov_smirnov: float
    kolmogorov_smirnov_noise: float
    mean: float
    mean_reference: float
    mean_shift: float
    mean_noise: float
    std: float
    std_reference: float
    std_ratio: float
    std_noise: float
    missing: float
    missing_reference: float
    missing_noise: float
    out_of_range: float
    out_of_range_reference: float
    out_of_range_noise: float
    comparable: bool = True
    """False for what follows the calendar, against a reference of all hours."""

    @property
    def beyond_noise(self) -> bool:
        """Whether sampling does not explain the PSI."""
        return self.psi > self.psi_noise


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of one variable on the cells of its edges: below, bins, above, missing (see `bins.Bins`)."""

    name: str
    edges: tuple[float, ...]
    reference: tuple[int, ...]
    now: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything a stretch of windows says about a model; features by falling PSI.

    `prediction_rate` is the share of scores at or above the bundle's review threshold, whatever the policy
    made of them; `alert_rate` the share of decisions to review or block.
    """

    decided: int
    reference: str
    reference_decided: int
    alert_rate: float
    prediction_rate: float
    prediction_rate_reference: float
    prediction_rate_noise: float
    latency_p50_ms: float
    latency_p99_ms: float
    score: Row
    features: tuple[Row, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The score, then the features."""
        return (self.score, *self.features)


def compare(
    bundle: Bundle,
    window: DecidedSketch,
    seasonal: DecidedSketch | None = None,
    calendar: frozenset[str] = frozenset(),
) -> Comparison:
    """The window's sketch, made on the bundle's layout, against `seasonal` or else the bundle's baselines.

    Features named in `calendar` are functions of the time alone: comparable with the same hours only.
    """
    sides = [_of_windows(*variable) for variable in variables(window)]
    if seasonal is None:
        baselines = zip(sides, _baselines(bundle), strict=False)
        references = [_of_baseline(side.bins, baseline) for side, baseline in baselines]
    else:
        references = [_of_windows(*variable) for variable in variables(seasonal)]
    hidden = calendar if seasonal is None else frozenset()
    score, *rows = (_row(reference, side, hidden) for reference, side in zip(references, sides, strict=True))
    rows.sort(key=lambda row: -row.psi if row.psi == row.psi else 1.0)
    limit = bundle.thresholds.review
    rates = [drift.share_at_or_above(s.counts, bundle.score.edges, limit) for s in (references[0], sides[0])]
    approve, *flagged = window.part("decisions").tolist()
    return Comparison(
        decided=decisions_of(window),
        reference=BASELINE if seasonal is None else SEASONAL,
        reference_decided=references[0].total,
        alert_rate=sum(flagged) / (approve + sum(flagged)) if approve + sum(flagged) else math.nan,
        prediction_rate=rates[1],
        prediction_rate_reference=rates[0],
        prediction_rate_noise=drift.share_noise(rates[0], references[0].known, rates[1], sides[0].known),
        latency_p50_ms=quantile_ms(window.part("latency"), 0.50),
        latency_p99_ms=quantile_ms(window.part("latency"), 0.99),
        score=score,
        features=tuple(rows),
    )


def distributions(
    bundle: Bundle, window: DecidedSketch, seasonal: DecidedSketch | None = None
) -> tuple[Distribution, ...]:
    """The counts that `compare` compares: of the score, then of each feature in the model's order."""
    then = (
        [c.tolist() for _, c, _ in variables(seasonal)]
        if seasonal
        else [b.counts for b in _baselines(bundle)]
    )
    return tuple(
        Distribution(bins.name, bins.edges, tuple(reference), tuple(counts.tolist()))
        for (bins, counts, _), reference in zip(variables(window), then, strict=False)
    )


def quantile_ms(latency: Counts, share: float) -> float:
    """The upper edge of the latency cell that holds this quantile (at most 20 % too high); NaN if empty."""
    known = latency[:-1].clip(min=0)
    if known.sum() <= 0:
        return math.nan
    cell = int((known.cumsum() < share * known.sum()).sum())
    return float(LATENCY_EDGES_MS[min(cell, len(LATENCY_EDGES_MS) - 1)])


def _baselines(bundle: Bundle) -> list[Baseline]:
    """In the order of `variables`; a sketch of the score alone has the first only."""
    return [bundle.score, *(feature.baseline for feature in bundle.features)]


class _Side(NamedTuple):
    """One variable, then or now; moments are of (value - centre) / spread of the bins."""

    bins: Bins
    counts: Counts
    mean: float
    std: float
    kurtosis: float

    @property
    def total(self) -> int:
        """All values, missing ones too."""
        return int(self.counts.sum())

    @property
    def known(self) -> int:
        """Values that are there."""
        return int(self.counts[:-1].sum())

    @property
    def squares_std(self) -> float:
        """The standard deviation of squared deviations from the mean."""
        return self.std**2 * math.sqrt(max(0.0, self.kurtosis - 1))


def _of_windows(bins: Bins, counts: Counts, moments: Counts) -> _Side:
    known = int(counts[:-1].sum())
    if known <= 0:
        return _Side(bins, counts, math.nan, math.nan, math.nan)
    mean = float(moments[0]) / MOMENT_STEPS / known
    square = float(moments[1]) / MOMENT_STEPS**2 / known
    variance = max(0.0, square - mean * mean)
    fourth = float(moments[2]) / FOURTH_STEPS / known
    return _Side(bins, counts, mean, math.sqrt(variance), fourth / variance**2 if variance > 0 else math.nan)


def _of_baseline(bins: Bins, baseline: Baseline) -> _Side:
    counts = np.asarray(baseline.counts, dtype=np.int64)
    if counts[:-1].sum() <= 0:
        return _Side(bins, counts, math.nan, math.nan, math.nan)
    return _Side(bins, counts, 0.0, 1.0 if baseline.std > 0 else 0.0, _kurtosis(baseline))


def _kurtosis(baseline: Baseline) -> float:
    """From the histogram, values evenly spread in their bins: rather too large, as outer bins are wide."""
    inside = np.asarray(baseline.counts[1:-2], dtype=np.float64)
    if baseline.std <= 0 or inside.sum() <= 0:
        return math.nan
    edges = (np.asarray(baseline.edges) - baseline.mean) / baseline.std
    low, high = edges[:-1], edges[1:]
    even = (low**4 + low**3 * high + low**2 * high**2 + low * high**3 + high**4) / 5
    return float((inside * even).sum() / inside.sum())


def _row(reference: _Side, now: _Side, calendar: frozenset[str]) -> Row:
    bins, totals, known = now.bins, (reference.total, now.total), (reference.known, now.known)
    used = int(((reference.counts > 0) | (now.counts > 0)).sum())
    scale = reference.std if reference.std > 0 else 1.0
    spread = _larger(reference.std, now.std)
    ratio = now.std / reference.std if reference.std > 0 else math.nan
    missing = [drift.share_missing(side.counts) for side in (reference, now)]
    outside = [drift.share_out_of_range(side.counts) for side in (reference, now)]
    return Row(
        name=bins.name,
        psi=drift.psi(reference.counts, now.counts),
        psi_noise=drift.psi_noise(used, *totals),
        jensen_shannon=drift.jensen_shannon(reference.counts, now.counts),
        kolmogorov_smirnov=drift.kolmogorov_smirnov(reference.counts, now.counts),
        kolmogorov_smirnov_noise=drift.kolmogorov_smirnov_noise(*known),
        mean=bins.centre + bins.spread * now.mean,
        mean_reference=bins.centre + bins.spread * reference.mean,
        mean_shift=(now.mean - reference.mean) / scale,
        mean_noise=drift.mean_noise(spread, *known) / scale,
        std=bins.spread * now.std,
        std_reference=bins.spread * reference.std,
        std_ratio=ratio,
        std_noise=drift.std_noise(
            min(reference.std, now.std), _larger(reference.squares_std, now.squares_std), *known
        ),
        missing=missing[1],
        missing_reference=missing[0],
        missing_noise=drift.share_noise(missing[0], totals[0], missing[1], totals[1]),
        out_of_range=outside[1],
        out_of_range_reference=outside[0],
        out_of_range_noise=drift.share_noise(outside[0], known[0], outside[1], known[1]),
        comparable=bins.name not in calendar,
    )


def _larger(*values: float) -> float:
    """The largest of those that are known; NaN if none is."""
    return max((value for value in values if not math.isnan(value)), default=math.nan)
