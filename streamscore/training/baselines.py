"""The histograms a bundle carries: how its features and scores were distributed in training, on bins fixed
there.
"""

import numpy as np
import numpy.typing as npt

from monitor.bins import Bins
from scoring.bundle import Baseline

Doubles = npt.NDArray[np.float64]

BINS = 10
_FEW_VALUES = 16
_SAMPLE = 200_000


def baseline(name: str, values: npt.NDArray[np.floating], extra_edges: tuple[float, ...] = ()) -> Baseline:
    """The distribution of `values` (NaN: missing) on about BINS bins, plus the `extra_edges` within their
    range.
    """
    doubles = values.astype(np.float64)
    known = doubles[~np.isnan(doubles)]
    cuts = edges(known)
    inside = {e for e in extra_edges if cuts[0] < e < cuts[-1]} - set(cuts)
    cuts = tuple(sorted([*cuts, *inside]))
    mean, std = (float(known.mean()), float(known.std())) if known.size else (0.0, 0.0)
    return Baseline(edges=cuts, counts=tuple(Bins(name, cuts).count(doubles).tolist()), mean=mean, std=std)


def edges(known: Doubles) -> tuple[float, ...]:
    """Bin edges in ascending order: a bin a value if there are few, else quantiles, with a bin for each
    common value.

    A last edge that is there twice makes a bin of the greatest value.

    >>> edges(np.array([0.0, 1.0, 1.0]))
    (0.0, 1.0, 1.0)
    """
    if not known.size:
        return (0.0, 1.0)
    sample = known[:: max(1, known.size // _SAMPLE)]
    distinct = np.unique(sample)
    if distinct.size <= _FEW_VALUES:
        return _within(known, distinct, repeat_last=True)
    cuts = _quantiles(sample)
    common = np.unique(cuts[1:][cuts[1:] == cuts[:-1]])
    if not common.size:
        return _within(known, cuts, repeat_last=False)
    just_above = np.nextafter(common.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    between = _quantiles(sample[~np.isin(sample, common)])
    return _within(known, np.concatenate([common, just_above, between]), repeat_last=known.max() in common)


def _quantiles(sample: Doubles) -> Doubles:
    """Values that occur, so that a float32 feature has float32 edges."""
    return np.quantile(sample, np.linspace(0, 1, BINS + 1), method="lower")


def _within(known: Doubles, cuts: Doubles, *, repeat_last: bool) -> tuple[float, ...]:
    lowest, greatest = known.min(), known.max()
    inside = np.unique(np.clip([lowest, *cuts, greatest], lowest, greatest)).tolist()
    return (*inside, inside[-1]) if repeat_last or len(inside) == 1 else tuple(inside)
