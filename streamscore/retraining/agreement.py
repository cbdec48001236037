"""Served vectors and backfilled ones of the same events: equal bit for bit, or it is said where not. Pure."""

import msgspec
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Of `events` that both know: the shares with equal vectors and with equal labels (1 of none), and how
    many differ by feature, most first.
    """

    events: int
    vectors: float
    labels: float
    differing: dict[str, int]


def agreement(
    served: Vectors, backfilled: Vectors, served_labels: Flags, raw_labels: Flags, names: tuple[str, ...]
) -> Agreement:
    """Rows are the same events in the same order; a missing value equals a missing value."""
    different = (served.view("<u4") != backfilled.view("<u4")) & ~(np.isnan(served) & np.isnan(backfilled))
    by_feature = different.sum(axis=0)
    worst = sorted(((int(n), name) for n, name in zip(by_feature, names, strict=True) if n), reverse=True)
    return Agreement(
        events=len(served),
        vectors=_share(~different.any(axis=1)),
        labels=_share(served_labels == raw_labels),
        differing={name: n for n, name in worst},
    )


def _share(equal: Flags) -> float:
    return round(float(equal.mean()), 6) if len(equal) else 1.0
