"""The cells that values of one variable are counted in, and the sums beside them. Pure."""

from dataclasses import dataclass
from decimal import Context, Decimal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOMENTS = 3
"""Sums that are kept beside a histogram: of the values, their squares, their fourth powers."""
MOMENT_STEPS = 4096.0
FOURTH_STEPS = 64.0
_MOMENT_LIMIT = 64.0

LATENCY_EDGES_MS: Floats = np.concatenate(([0.0], np.round(10.0 * 1.2 ** np.arange(72))))
"""From 10 ms to about an hour in steps of 20 %."""
SCORE_EDGES: Floats = np.array(
    [1.0 / (1.0 + float(Decimal(-eighth / 8).exp(Context(prec=30)))) for eighth in range(-72, 73)]
)
"""A fine grid in steps of 1/8 log-odds, for labels against scores: fraud lives in the last percent.

Correctly rounded, for what is counted by other edges is not added: numpy's `exp` differs between processors.
"""


@dataclass(frozen=True)
class Bins:
    """Edges e0 < … < en of one variable, and the baseline's centre and spread its moments are counted in.

    Cells, in order: below e0; [e0, e1) … [en-1, en]; above en; NaN. A last edge that is there twice
    makes a bin of that value alone: with (0, 1, 1) the bins are [0, 1) and [1, 1].
    """

    name: str
    edges: tuple[float, ...]
    centre: float = 0.0
    spread: float = 1.0

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.edges) + 2

    def cell_of(self, values: Floats) -> npt.NDArray[np.intp]:
        """The cell of each value."""
        edges = np.asarray(self.edges, dtype=np.float64)
        cell = np.searchsorted(edges, values, side="right")
        cell[values == edges[-1]] = len(edges) - 1
        cell[np.isnan(values)] = len(edges) + 1
        return cell

    def count(self, values: Floats) -> Counts:
        """How many values fall in each cell."""
        return np.bincount(self.cell_of(values), minlength=self.cells).astype(np.int64)

    def moments(self, values: Floats) -> Counts:
        """Sums of (value - centre) / spread in 1/4096, of its squares in 1/4096², and of its fourth powers in
        1/64; far values count as 64 away.
        """
        known = values[~np.isnan(values)]
        apart = np.clip((known - self.centre) / self.spread, -_MOMENT_LIMIT, _MOMENT_LIMIT)
        steps = np.rint(apart * MOMENT_STEPS).astype(np.int64)
        squares = apart * apart  # numpy's fourth power may differ between processors, products do not
        fourths = np.rint(squares * squares * FOURTH_STEPS).astype(np.int64)
        return np.array([steps.sum(), (steps * steps).sum(), fourths.sum()], dtype=np.int64)


LATENCY = Bins("latency", tuple(LATENCY_EDGES_MS.tolist()))
SCORES = Bins("score", tuple(SCORE_EDGES.tolist()))
