"""How far one histogram is from another: pure functions of two vectors of counts on the same cells.

`expected` is the baseline (training), `actual` the window. Cells are those of `sketch.Bins`: below, bins,
above, NaN.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Histogram = npt.ArrayLike
_PSEUDO_COUNT = 0.5

SIGMAS = 6.0
"""What sampling explains once in 10⁹ looks at one variable: a stack looks some 10⁵ times a day at all of
its variables, and a quiet year must raise nothing.
"""
_LOG_RARE = math.log(2e9)


def psi(expected: Histogram, actual: Histogram) -> float:
    """Population stability index: Σ (aᵢ - eᵢ) · ln(aᵢ / eᵢ) over the cells' shares; above 0.2 is drift.

    Every cell gets half a count first (Jeffreys' prior), so an empty one is rare rather than impossible;
    cells empty on both sides are left out. NaN if either side has no counts. Siddiqi, "Credit Risk
    Scorecards", 2006, ch. 7; Lewis, "An Introduction to Credit Scoring", 1994.

    >>> round(psi([50, 50], [75, 25]), 4)
    0.2687
    """
    e, a = _shares(expected, actual, _PSEUDO_COUNT)
    return float(np.sum((a - e) * np.log(a / e))) if e.size else math.nan


def psi_noise(cells: int, expected_total: float, actual_total: float, *, sigmas: float = SIGMAS) -> float:
    """The PSI that sampling explains: if nothing changed, PSI / (1/n + 1/m) is about χ² with cells - 1.

    Its mean plus `sigmas` standard deviations, by Wilson and Hilferty's cube-root approximation of
    χ²; a PSI below it says nothing. Yurdakul and Naranjo, "Statistical properties of the population
    stability index", 2020.

    >>> round(psi_noise(10, 1_000_000, 200, sigmas=3), 3), round(psi_noise(10, 1_000_000, 200), 3)
    (0.136, 0.318)
    """
    if min(expected_total, actual_total) <= 0 or cells < 2:
        return math.inf
    freedom = cells - 1
    spread = 2 / (9 * freedom)
    chi_square = freedom * (1 - spread + sigmas * math.sqrt(spread)) ** 3
    return chi_square * (1 / expected_total + 1 / actual_total)


def jensen_shannon(expected: Histogram, actual: Histogram) -> float:
    """Jensen-Shannon distance, base 2: √(½ KL(a‖m) + ½ KL(e‖m)), m their mean; 0 is equal, 1 is disjoint.

    No smoothing is needed. NaN if either side has no counts. Lin, IEEE Trans. Inf. Theory 37(1), 1991; the
    square root is a metric: Endres and Schindelin, IEEE Trans. Inf. Theory 49(7), 2003.

    >>> jensen_shannon([1, 0], [0, 1])
    1.0
    """
    e, a = _shares(expected, actual, 0.0)
    if not e.size:
        return math.nan
    middle = (e + a) / 2
    divergence = (_entropy_terms(e, middle) + _entropy_terms(a, middle)) / 2
    return math.sqrt(max(0.0, divergence))


def kolmogorov_smirnov(expected: Histogram, actual: Histogram) -> float:
    """Greatest distance of the two distribution functions, seen at the cells' edges; NaN is left out.

    The exact statistic is at least this and exceeds it by at most the largest share of any one cell. NaN if
    either side has no counts. Press et al., "Numerical Recipes", 3rd ed., §14.3.3.

    >>> kolmogorov_smirnov([0, 50, 50, 0, 9], [0, 75, 25, 0, 0])
    0.25
    """
    known_e, known_a = (_counts(side)[:-1] for side in (expected, actual))
    if known_e.sum() <= 0 or known_a.sum() <= 0:
        return math.nan
    gaps = np.cumsum(known_a) / known_a.sum() - np.cumsum(known_e) / known_e.sum()
    return float(np.max(np.abs(gaps)))


def kolmogorov_smirnov_noise(expected_total: float, actual_total: float) -> float:
    """The distance that sampling explains: √(ln(2/α) / 2 · (1/n + 1/m)), α = 10⁻⁹.

    Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", 1990, for two samples as in
    Wei and Dudley, 2012. It holds for values in cells: they are seen at fewer points. Infinite without
    counts.

    >>> round(kolmogorov_smirnov_noise(1_000_000, 500), 3)
    0.146
    """
    if min(expected_total, actual_total) <= 0:
        return math.inf
    return math.sqrt(_LOG_RARE / 2 * (1 / expected_total + 1 / actual_total))


def share_noise(expected: float, expected_total: float, actual: float, actual_total: float) -> float:
    """The difference between two shares that sampling explains, for rare events too: Bernstein's inequality,
    L/3k + √((L/3k)² + 2·p(1-p)·L/k) with the pooled share p, 1/k = 1/n + 1/m, L = ln(2·10⁹).

    Boucheron, Lugosi and Massart, "Concentration Inequalities", 2013, cor. 2.11. Infinite without counts.

    >>> round(share_noise(0.01, 1_000_000, 0.02, 10_000), 4)
    0.0073
    """
    if not (expected_total > 0 and actual_total > 0):
        return math.inf
    pooled = (expected * expected_total + actual * actual_total) / (expected_total + actual_total)
    rate = _LOG_RARE * (1 / expected_total + 1 / actual_total)
    linear = rate / 3
    return linear + math.sqrt(linear**2 + 2 * max(0.0, pooled * (1 - pooled)) * rate)


def mean_noise(std: float, expected_total: float, actual_total: float) -> float:
    """The difference between two means that sampling explains: SIGMAS · std · √(1/n + 1/m), by the central
    limit theorem. `std` is the larger of the two, so that neither a far value nor its absence is drift.

    >>> round(mean_noise(1.0, 1_000_000, 900), 3)
    0.2
    """
    if not (expected_total > 0 and actual_total > 0):
        return math.inf
    return SIGMAS * std * math.sqrt(1 / expected_total + 1 / actual_total)


def std_noise(smaller: float, spread: float, expected_total: float, actual_total: float) -> float:
    """The factor between two standard deviations that sampling explains: √(1 + Δ/smaller²) with the noise of
    the variances' difference, Δ = SIGMAS · spread · √(1/n + 1/m).

    `smaller` is the smaller standard deviation, `spread` the larger standard deviation of squared deviations
    from the mean, σ²·√(κ-1): Cramér, "Mathematical Methods of Statistics", 1946, §27.4. Differences, not
    logarithms: rare far values may be wanting on one side altogether.

    >>> round(std_noise(1.0, math.sqrt(2), 1_000_000, 1800), 3)
    1.096
    """
    if not (expected_total > 0 and actual_total > 0 and smaller > 0):
        return math.inf
    difference = SIGMAS * spread * math.sqrt(1 / expected_total + 1 / actual_total)
    return math.sqrt(1 + difference / smaller**2)


def share_missing(counts: Histogram) -> float:
    """Share of NaN; NaN if there are no counts."""
    cells = _counts(counts)
    return float(cells[-1] / cells.sum()) if cells.sum() > 0 else math.nan


def share_out_of_range(counts: Histogram) -> float:
    """Share below the first edge or above the last, of the values that are known; NaN if none is."""
    known = _counts(counts)[:-1]
    return float((known[0] + known[-1]) / known.sum()) if known.sum() > 0 else math.nan


def share_at_or_above(counts: Histogram, edges: Sequence[float], limit: float) -> float:
    """Share of the known values in cells at or above `limit`, exact where it is an edge; NaN if there are
    none. A limit inside a cell leaves that cell out.
    """
    known = _counts(counts)[:-1]
    first = int(np.searchsorted(np.asarray(edges), limit, side="left")) + 1
    return float(known[first:].sum() / known.sum()) if known.sum() > 0 else math.nan


def _counts(histogram: Histogram) -> npt.NDArray[np.float64]:
    """As floats; what corrections took below zero is zero."""
    return np.maximum(np.asarray(histogram, dtype=np.float64), 0.0)


def _shares(
    expected: Histogram, actual: Histogram, pseudo: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    e, a = _counts(expected), _counts(actual)
    if e.sum() <= 0 or a.sum() <= 0:
        return np.empty(0), np.empty(0)
    used = (e > 0) | (a > 0)
    e, a = e[used] + pseudo, a[used] + pseudo
    return e / e.sum(), a / a.sum()


def _entropy_terms(shares: npt.NDArray[np.float64], middle: npt.NDArray[np.float64]) -> float:
    present = shares > 0
    return float(np.sum(shares[present] * np.log2(shares[present] / middle[present])))
