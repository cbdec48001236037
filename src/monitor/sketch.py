"""A mergeable summary of decisions: one vector of int64 counts whose meaning is given by a layout.

    zero(layout)            the summary of nothing
    observe(layout, rows)   the summary of these decisions
    observe_labels(...)     the summary of these labels
    a + b                   the summary of both; a - b takes b back (a corrected label)
    encode / decode         a few KB of bytes, bounded by MAX_CELLS

Everything counted is an integer, sums too (fixed point), so addition is exact: any batching, in any order,
gives the same vector. Values fall on the bins of the model's own baseline, so a baseline and a window
compare cell by cell.
"""

import functools
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DECISIONS = ("approve", "review", "block")
MAX_CELLS = 48_000
"""A sketch this large is 384 KB before compression: two models' fit in Lambda's 1 MB of window state."""

MOMENT_STEPS = 4096.0
_MOMENT_LIMIT = 64.0
SCORE_STEPS = float(1 << 20)
_VERSION = 1

LATENCY_EDGES_MS: Floats = np.concatenate(([0.0], np.round(10.0 * 1.2 ** np.arange(72))))
"""From 10 ms to about an hour in steps of 20 %."""
SCORE_EDGES: Floats = 1.0 / (1.0 + np.exp(-np.linspace(-9.0, 9.0, 145)))
"""A fine grid in steps of 1/8 log-odds, for labels against scores: fraud lives in the last percent."""


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
        """Sum and sum of squares of (value - centre) / spread, in 1/4096; far values count as 64 away."""
        known = values[~np.isnan(values)]
        apart = np.clip((known - self.centre) / self.spread, -_MOMENT_LIMIT, _MOMENT_LIMIT)
        steps = np.rint(apart * MOMENT_STEPS).astype(np.int64)
        return np.array([steps.sum(), (steps * steps).sum()], dtype=np.int64)


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
            ("latency", len(LATENCY_EDGES_MS) + 2),
            ("score", self.score.cells),
            ("score_moments", 2),
            ("labels", 2 * (len(SCORE_EDGES) + 2)),
            ("label_scores", 2 * (len(SCORE_EDGES) + 2)),
            ("label_score_squares", 2),
            ("label_decisions", 2 * len(DECISIONS)),
        ]
        for bins in self.features:
            sizes += [(f"feature {bins.name}", bins.cells), (f"moments {bins.name}", 2)]
        sections, at = {}, 0
        for name, size in sizes:
            sections[name] = slice(at, at + size)
            at += size
        return sections

    @functools.cached_property
    def cells(self) -> int:
        """Length of the vector."""
        return int(max(section.stop for section in self.sections.values()))

    @functools.cached_property
    def digest(self) -> bytes:
        """Eight bytes that differ between layouts whose vectors must not be added."""
        text = repr((_VERSION, self.features, self.score))
        return hashlib.blake2b(text.encode(), digest_size=8).digest()

    def check(self) -> "Layout":
        """Itself; InvalidInputError if its sketches could be too large for a window's state."""
        if self.cells > MAX_CELLS:
            raise InvalidInputError(
                f"the baseline has {self.cells} cells; at most {MAX_CELLS} fit: use fewer bins a feature"
            )
        return self


BARE = Layout((), Bins("score", (0.0, 1.0)))
"""For decisions that no model made: they have no baseline."""


@dataclass(frozen=True)
class Decided:
    """Columns of decisions made by one model: features [n, F] in layout order (NaN where unknown)."""

    features: Floats
    scores: Floats
    decisions: Sequence[str]
    latencies_ms: Floats


@dataclass(frozen=True)
class Labelled:
    """Columns of labels of decisions made by one model."""

    labels: npt.NDArray[np.bool_]
    scores: Floats
    decisions: Sequence[str]


@dataclass(frozen=True, eq=False)
class Sketch:
    """Counts by a layout's sections."""

    layout: Layout
    counts: Counts

    def __add__(self, other: "Sketch") -> "Sketch":
        return Sketch(self.layout, self.counts + _same_layout(self, other).counts)

    def __sub__(self, other: "Sketch") -> "Sketch":
        return Sketch(self.layout, self.counts - _same_layout(self, other).counts)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sketch)
            and self.layout.digest == other.layout.digest
            and bool(np.array_equal(self.counts, other.counts))
        )

    __hash__ = None  # type: ignore[assignment]

    def part(self, section: str) -> Counts:
        """The counts of one section."""
        return self.counts[self.layout.sections[section]]

    @property
    def decided(self) -> int:
        """Decisions counted."""
        return int(self.part("score").sum())

    @property
    def labelled(self) -> int:
        """Labels counted, corrections once."""
        return int(self.part("labels").sum())

    def label_counts(self) -> tuple[Counts, Counts]:
        """(negatives, positives) by cell of SCORE_EDGES; labels of decisions without a score are left out."""
        negatives, positives = self.part("labels").reshape(2, -1)
        return negatives[:-1], positives[:-1]

    def features(self) -> Iterator[tuple[Bins, Counts, Counts]]:
        """(bins, counts, moments) of each feature in layout order."""
        for bins in self.layout.features:
            yield bins, self.part(f"feature {bins.name}"), self.part(f"moments {bins.name}")


def zero(layout: Layout) -> Sketch:
    """The sketch of nothing."""
    return Sketch(layout, np.zeros(layout.cells, dtype=np.int64))


def observe(layout: Layout, rows: Decided) -> Sketch:
    """The sketch of these decisions. A decision without a score (NaN) counts in the score's NaN cell."""
    sketch = zero(layout)
    sketch.part("decisions")[:] = _decision_counts(rows.decisions)
    sketch.part("latency")[:] = _LATENCY.count(rows.latencies_ms)
    sketch.part("score")[:] = layout.score.count(rows.scores)
    sketch.part("score_moments")[:] = layout.score.moments(rows.scores)
    for column, bins in enumerate(layout.features):
        values = rows.features[:, column]
        sketch.part(f"feature {bins.name}")[:] = bins.count(values)
        sketch.part(f"moments {bins.name}")[:] = bins.moments(values)
    return sketch


def observe_labels(layout: Layout, rows: Labelled) -> Sketch:
    """The sketch of these labels: by the score and the decision their events got."""
    sketch = zero(layout)
    cell = _GRID.cell_of(rows.scores)
    steps = np.rint(np.nan_to_num(np.clip(rows.scores, 0.0, 1.0)) * SCORE_STEPS).astype(np.int64)
    for label in (False, True):
        mine = rows.labels == label
        row = int(label)
        sketch.part("labels").reshape(2, -1)[row] = np.bincount(cell[mine], minlength=_GRID.cells)
        np.add.at(sketch.part("label_scores").reshape(2, -1)[row], cell[mine], steps[mine])
        sketch.part("label_score_squares")[row] = (steps[mine] ** 2 >> 20).sum()
        decisions = [name for name, own in zip(rows.decisions, mine, strict=True) if own]
        sketch.part("label_decisions").reshape(2, -1)[row] = _decision_counts(decisions)
    return sketch


def encode(sketch: Sketch) -> bytes:
    """Version, layout digest and the compressed counts; the same bytes for the same sketch."""
    return bytes([_VERSION]) + sketch.layout.digest + zlib.compress(sketch.counts.astype("<i8").tobytes(), 6)


def fits(layout: Layout, data: bytes) -> bool:
    """Whether `decode` will read it: a bundle that can be read only later gives another layout."""
    return data[:9] == bytes([_VERSION]) + layout.digest


def decode(layout: Layout, data: bytes) -> Sketch:
    """The sketch `encode` was given; InvalidInputError if it was made by another layout or version."""
    if not fits(layout, data):
        raise InvalidInputError("a stored sketch was made with other bins than this model's baseline")
    try:
        counts = zlib.decompress(data[9:], bufsize=layout.cells * 8)
    except zlib.error as error:
        raise InvalidInputError(f"a stored sketch is damaged: {error}") from error
    if len(counts) != layout.cells * 8:
        raise InvalidInputError(f"a stored sketch is damaged: {len(counts)} bytes, not {layout.cells * 8}")
    return Sketch(layout, np.frombuffer(counts, dtype="<i8").astype(np.int64))


_LATENCY = Bins("latency", tuple(LATENCY_EDGES_MS.tolist()))
_GRID = Bins("score", tuple(SCORE_EDGES.tolist()))


def _decision_counts(decisions: Sequence[str]) -> Counts:
    return np.array([sum(1 for made in decisions if made == name) for name in DECISIONS], dtype=np.int64)


def _same_layout(one: Sketch, other: Sketch) -> Sketch:
    if one.layout.digest != other.layout.digest:
        raise InvalidInputError("sketches of different models cannot be added")
    return other
