"""Features of other features: ratio, difference, zscore."""

from functools import lru_cache
from graphlib import TopologicalSorter

import numpy as np

from stream_features.columns import Bools, Floats, Vectors
from stream_features.ops import OPS
from stream_features.spec_model import Feature, Spec

_LARGEST = float(np.finfo(np.float32).max)


def fill(spec: Spec, is_event: Bools, features: Vectors) -> None:
    """Fill the derived columns of `features` float32[n, F] in place, for the rows that are events.

    What they read is float32, with defaults applied; it is computed in float64 and rounded once. A division
    by zero, a missing input and what float32 cannot hold give NaN; then the feature's own default applies.
    """
    for place in _places(spec):
        feature = spec.features[place]
        answer = _answer(feature, *(_column(spec, name, features) for name in _inputs(feature)))
        answer[~(np.abs(answer) <= _LARGEST)] = np.nan if feature.default is None else feature.default
        features[is_event, place] = answer[is_event]


@lru_cache(maxsize=8)
def _places(spec: Spec) -> tuple[int, ...]:
    """The places of the derived features; each comes after those it reads."""
    derived = {f.name: _inputs(f) for f in spec.features if OPS[f.op].scope == "features"}
    order = TopologicalSorter(derived).static_order()
    return tuple(spec.feature_names.index(name) for name in order if name in derived)


def _inputs(feature: Feature) -> tuple[str, ...]:
    return tuple(name for name in (feature.of, feature.to, feature.std) if name is not None)


def _column(spec: Spec, name: str, features: Vectors) -> Floats:
    return features[:, spec.feature_names.index(name)].astype(np.float64)


def _answer(feature: Feature, of: Floats, to: Floats, std: Floats | None = None) -> Floats:
    if feature.op == "ratio":
        return _divided(of, to)
    return of - to if std is None else _divided(of - to, std)


def _divided(above: Floats, below: Floats) -> Floats:
    answer = np.full(above.shape, np.nan)
    np.divide(above, below, out=answer, where=below != 0)
    return answer
