"""The histograms a bundle carries: how its features and scores were distributed in training, on bins fixed there."""

import numpy as np
import numpy.typing as npt

from monitor.sketch import Bins
from scoring.bundle import Baseline

Values = npt.NDArray[np.float32] | npt.NDArray[np.float64]

BINS = 10
_FEW_VALUES = 16
_SAMPLE = 200_000


def baseline(name: str, values: Values, extra_edges: tuple[float, ...] = ()) -> Baseline:
    """The distribution of `values` (NaN: missing) on about BINS bins, plus the `extra_edges` within their range."""
    known = values[~np.isnan(values)].astype(np.float64)
    cuts = edges(known)
    cuts = tuple(sorted({*cuts, *(e for e in extra_edges if cuts[0] < e < cuts[-1])})) + cuts[-1:]
    mean, std = (float(known.mean()), float(known.std())) if known.size else (0.0, 0.0)
    counts = Bins(name, cuts).count(values.astype(np.float64))
    return Baseline(edges=cuts, counts=tuple(counts.tolist()), mean=mean, std=std)


def edges(known: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Bin edges in ascending order: a bin a value if there are few, else quantiles with a bin for each common value.

    The greatest value has a bin of its own only if `baseline` repeats the last edge, as it does.

    >>> edges(np.array([0.0, 1.0, 1.0]))
    (0.0, 1.0)
    """
    if not known.size:
        return (0.0, 1.0)
    sample = known[:: max(1, known.size // _SAMPLE)]
    distinct = np.unique(sample)
    if distinct.size <= _FEW_VALUES:
        return tuple(np.unique([known.min(), *distinct, known.max()]).tolist())
    at = np.quantile(sample, np.linspace(0, 1, BINS + 1), method="lower")
    common = np.unique(at[1:][at[1:] == at[:-1]])
    rest = sample[~np.isin(sample, common)]
    between = np.quantile(rest, np.linspace(0, 1, BINS + 1), method="lower")
    after_common = np.nextafter(common.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    inside = np.concatenate([common, after_common, between]) if common.size else at
    return tuple(np.unique(np.clip([known.min(), *inside, known.max()], known.min(), known.max())).tolist())
