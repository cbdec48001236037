"""Served vectors beside backfilled ones, event by event and feature by feature; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stream_features.columns import Ints, Vectors
from stream_features.spec_model import Spec
from streamscore.parity.served import Served
from streamscore.training.backfill import Backfilled

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Aligned:
    """Both sides of n events and F features: float32[n, F]. ``rows`` are the events' rows in the backfill.

    ``present``: the decision holds the feature at all; ``redefined``: by another definition, or as part of a
    vector of another spec. ``not_decided`` events of the file have no decision, ``by_api`` only one made over
    HTTP, ``unreadable`` a vector of a spec that is not published.
    """

    rows: Ints
    served: Vectors
    backfilled: Vectors
    present: Flags
    redefined: Flags
    not_decided: int
    by_api: int
    unreadable: int

    @cached_property
    def different(self) -> Flags:
        """Where the bits differ: NaN equals NaN, zero and minus zero do not."""
        other = np.not_equal(self.served.view(np.uint32), self.backfilled.view(np.uint32))
        return np.logical_and(other, self.present)


def align(whole: Backfilled, decided: Mapping[str, Served], specs: Mapping[str, Spec]) -> Aligned:
    """Pair what was served with what the backfill computed; ``specs`` are others, by sha256."""
    found = [(row, decided.get(id_)) for row, id_ in enumerate(whole.ids.to_list())]
    streamed = [(row, one) for row, one in found if one is not None and one.on_stream]
    places = {one.spec_sha: _places(whole.spec, one.spec_sha, specs) for _, one in streamed}
    readable = [(row, one) for row, one in streamed if places[one.spec_sha].reads(one.vector)]
    rows = np.array([row for row, _ in readable], np.int64)
    shape = (len(rows), len(whole.spec.features))
    served, present, redefined = np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape, bool)
    for sha, where in places.items():
        mine = [n for n, (_, one) in enumerate(readable) if one.spec_sha == sha]
        joined = b"".join(readable[n][1].vector for n in mine)
        vectors = np.frombuffer(joined, "<f4").reshape(len(mine), where.width)
        served[np.ix_(mine, where.mine)] = vectors[:, where.theirs]
        present[np.ix_(mine, where.mine)] = True
        redefined[mine] = sha != whole.spec.sha256
    return Aligned(
        rows=rows,
        served=served,
        backfilled=np.ascontiguousarray(whole.features[rows]),
        present=present,
        redefined=redefined,
        not_decided=sum(one is None for _, one in found),
        by_api=sum(one is not None and not one.on_stream for _, one in found),
        unreadable=len(streamed) - len(readable),
    )


@dataclass(frozen=True)
class _Places:
    """Where features of our spec (``mine``) stand in a served vector (``theirs``, of ``width``)."""

    mine: list[int]
    theirs: list[int]
    width: int

    def reads(self, vector: bytes) -> bool:
        return self.width > 0 and len(vector) == 4 * self.width


def _places(spec: Spec, sha: str, specs: Mapping[str, Spec]) -> _Places:
    """By name; a decision's spec that is unknown has no places."""
    served = spec if sha == spec.sha256 else specs.get(sha)
    names = list(served.feature_names) if served else []
    mine = [place for place, name in enumerate(spec.feature_names) if name in names]
    return _Places(mine, [names.index(spec.feature_names[place]) for place in mine], len(names))
