"""Sketches of labels, by the scores and decisions their events had got. Pure.

All have one layout, whatever the model; they are kept by the day on which the decision was made, so that what
has matured can be told from what has not.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.bins import SCORE_EDGES, SCORES, Counts, Floats
from monitor.decided import decision_counts
from monitor.sketch import DECISIONS, Sketch, digest_of, laid_out, zero

SCORE_STEPS = float(1 << 20)
AMOUNT_STEPS = 10_000.0
_AMOUNT_LIMIT = 1e9


@dataclass(frozen=True)
class LabelLayout:
    """Each section has two halves, of negatives and of positives."""

    @functools.cached_property
    def sections(self) -> dict[str, slice]:
        """The part of the vector each section takes, by name."""
        grid, decisions = 2 * SCORES.cells, 2 * len(DECISIONS)
        return laid_out(
            (
                *(("labels", grid), ("scores", grid), ("score_squares", 2)),
                *(("decisions", decisions), ("amounts", decisions)),
            )
        )

    @functools.cached_property
    def cells(self) -> int:
        """Length of the vector."""
        return int(max(section.stop for section in self.sections.values()))

    @functools.cached_property
    def digest(self) -> bytes:
        """Of the grid."""
        return digest_of(SCORE_EDGES.tolist(), DECISIONS)


LABELS = LabelLayout()
LabelSketch = Sketch[LabelLayout]


@dataclass(frozen=True)
class Labelled:
    """Columns of labels of decisions made by one model; scores and amounts are NaN where there is none."""

    labels: npt.NDArray[np.bool_]
    scores: Floats
    decisions: Sequence[str]
    amounts: Floats


def observe_labels(rows: Labelled) -> LabelSketch:
    """The sketch of these labels. Amounts beyond ±10⁹ count as that, to a ten-thousandth."""
    sketch = zero(LABELS)
    cell = SCORES.cell_of(rows.scores)
    scores = _steps(rows.scores, 0.0, 1.0, SCORE_STEPS)
    amounts = _steps(rows.amounts, -_AMOUNT_LIMIT, _AMOUNT_LIMIT, AMOUNT_STEPS)
    for label in (False, True):
        mine, row = rows.labels == label, int(label)
        halves(sketch, "labels")[row] = np.bincount(cell[mine], minlength=SCORES.cells)
        np.add.at(halves(sketch, "scores")[row], cell[mine], scores[mine])
        sketch.part("score_squares")[row] = (scores[mine] ** 2 >> 20).sum()
        made = [name for name, own in zip(rows.decisions, mine, strict=True) if own]
        halves(sketch, "decisions")[row] = decision_counts(made)
        for column, name in enumerate(DECISIONS):
            of_it = mine & np.array([one == name for one in rows.decisions], dtype=np.bool_)
            halves(sketch, "amounts")[row, column] = amounts[of_it].sum()
    return sketch


def halves(sketch: LabelSketch, section: str) -> Counts:
    """A section as [2, cells]: negatives, positives."""
    return sketch.part(section).reshape(2, -1)


def labels_of(sketch: LabelSketch) -> int:
    """Labels counted, corrections once."""
    return int(sketch.part("labels").sum())


def by_score(sketch: LabelSketch) -> tuple[Counts, Counts]:
    """(negatives, positives) by cell of SCORE_EDGES; labels of decisions without a score are left out."""
    negatives, positives = halves(sketch, "labels")
    return negatives[:-1], positives[:-1]


def _steps(values: Floats, least: float, most: float, steps: float) -> Counts:
    return np.rint(np.nan_to_num(np.clip(values, least, most)) * steps).astype(np.int64)
