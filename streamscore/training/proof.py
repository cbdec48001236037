"""The proof that a graph scores as what it was made from: every row, and every decision."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from common.errors import ModelRefusedError
from scoring.bundle import Conversion, Thresholds
from scoring.model import rounded

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

MAX_DIFFERENCE = 1e-5
_WORST_ROWS = 3


def prove(
    reference: Doubles, served: Floats, thresholds: Thresholds, ids: Iterable[object] | None = None
) -> Conversion:
    """The record that `served` (ONNX Runtime) equals `reference` row by row.

    Raises ModelRefusedError, naming the worst rows (by their ids, else their places), if any differs by more
    than 1e-5 or is decided otherwise.
    """
    difference = np.abs(reference - served)
    flipped = _levels(rounded(reference.astype(np.float32)), thresholds) != _levels(
        rounded(served), thresholds
    )
    largest = float(difference.max(initial=0.0))
    if not largest <= MAX_DIFFERENCE or flipped.any():
        worst = np.lexsort((-np.nan_to_num(difference, nan=np.inf), ~flipped))[:_WORST_ROWS]
        names = list(range(len(served)) if ids is None else ids)
        rows = "; ".join(f"row {names[n]}: trained {reference[n]:.7f}, served {served[n]:.7f}" for n in worst)
        raise ModelRefusedError(
            f"conversion: {int(flipped.sum())} of {len(served)} rows are decided otherwise, "
            f"largest difference {largest:.2e} (at most {MAX_DIFFERENCE:.0e}); worst: {rows}"
        )
    return Conversion(rows=len(served), max_difference=float(f"{largest:.1e}"), flips=0)


def _levels(scores: Doubles, thresholds: Thresholds) -> npt.NDArray[np.int_]:
    return (scores >= thresholds.review).astype(int) + (scores >= thresholds.block)
