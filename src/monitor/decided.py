"""Sketches of decisions, on the bins of the baseline of the model that made them. Pure.

A baseline and a window compare cell by cell.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import InvalidInputError
from monitor.bins import LATENCY, MOMENTS, Bins, Counts, Floats
from monitor.sketch import DECISIONS, Sketch, digest_of, laid_out, zero

MAX_CELLS = 48_000
"""A sketch this large is 384 KB before compression: two models' fit in Lambda's 1 MB of window state."""


@dataclass(frozen=True)
class Layout:
    """What each cell of a sketch counts: the bins of the model's features, in its order, and of its score."""

    features: tuple[Bins, ...]
    score: Bins

    @functools.cached_property
    def sections(self) -> dict[str, slice]:
        """The part of the vector each section takes, by name."""
        sizes = [
            ("decisions", len(DECISIONS)),
            ("latency", LATENCY.cells),
            ("score", self.score.cells),
            ("score_moments", MOMENTS),
        ]
        for bins in self.features:
            sizes += [(f"feature {bins.name}", bins.cells), (f"moments {bins.name}", MOMENTS)]
        return laid_out(sizes)

    @functools.cached_property
    def cells(self) -> int:
        """Length of the vector."""
        return int(max(section.stop for section in self.sections.values()))

    @functools.cached_property
    def digest(self) -> bytes:
        """Of the bins."""
        return digest_of(self.features, self.score)

    def check(self) -> "Layout":
        """Itself; InvalidInputError if its sketches could be too large for a window's state."""
        if self.cells > MAX_CELLS:
            raise InvalidInputError(
                f"the baseline has {self.cells} cells; at most {MAX_CELLS} fit: use fewer bins a feature"
            )
        return self


BARE = Layout((), Bins("score", (0.0, 1.0)))
"""For decisions that no model made: they have no baseline."""

DecidedSketch = Sketch[Layout]


@dataclass(frozen=True)
class Decided:
    """Columns of decisions made by one model: features [n, F] in layout order (NaN where unknown)."""

    features: Floats
    scores: Floats
    decisions: Sequence[str]
    latencies_ms: Floats


def observe(layout: Layout, rows: Decided) -> DecidedSketch:
    """The sketch of these decisions. A decision without a score (NaN) counts in the score's NaN cell."""
    sketch = zero(layout)
    sketch.part("decisions")[:] = decision_counts(rows.decisions)
    sketch.part("latency")[:] = LATENCY.count(rows.latencies_ms)
    sketch.part("score")[:] = layout.score.count(rows.scores)
    sketch.part("score_moments")[:] = layout.score.moments(rows.scores)
    for column, bins in enumerate(layout.features):
        values = rows.features[:, column]
        sketch.part(f"feature {bins.name}")[:] = bins.count(values)
        sketch.part(f"moments {bins.name}")[:] = bins.moments(values)
    return sketch


def decisions_of(sketch: DecidedSketch) -> int:
    """Decisions counted."""
    return int(sketch.part("score").sum())


def variables(sketch: DecidedSketch) -> Iterator[tuple[Bins, Counts, Counts]]:
    """(bins, counts, moments) of the score, then of each feature in layout order."""
    yield sketch.layout.score, sketch.part("score"), sketch.part("score_moments")
    for bins in sketch.layout.features:
        yield bins, sketch.part(f"feature {bins.name}"), sketch.part(f"moments {bins.name}")


def decision_counts(decisions: Sequence[str]) -> Counts:
    """How many of each of DECISIONS."""
    return np.array([sum(1 for made in decisions if made == name) for name in DECISIONS], dtype=np.int64)
