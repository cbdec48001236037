"""A mergeable summary: one vector of int64 counts whose meaning is given by a layout.

    zero(layout)            the summary of nothing
    a + b                   the summary of both; a - b takes b back (a corrected label)
    encode / decode         a few KB of bytes, bounded by the layout's cells

Everything counted is an integer, sums too (fixed point), so addition is exact: any batching, in any order,
gives the same vector. There are two kinds: of decisions (`decided`), of labels (`labelled`).
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from common.errors import InvalidInputError
from monitor.bins import Counts

DECISIONS = ("approve", "review", "block")
_VERSION = 2


class Sections(Protocol):
    """What a vector's parts are: by name; how long it is; eight bytes that differ between layouts whose
    vectors must not be added.
    """

    @property
    def sections(self) -> Mapping[str, slice]: ...  # noqa: D102

    @property
    def cells(self) -> int: ...  # noqa: D102

    @property
    def digest(self) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Sketch[L: Sections]:
    """Counts by a layout's sections."""

    layout: L
    counts: Counts

    def __add__(self, other: "Sketch[L]") -> "Sketch[L]":
        return Sketch(self.layout, self.counts + _same_layout(self, other).counts)

    def __sub__(self, other: "Sketch[L]") -> "Sketch[L]":
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


def zero[L: Sections](layout: L) -> Sketch[L]:
    """The sketch of nothing."""
    return Sketch(layout, np.zeros(layout.cells, dtype=np.int64))


def total[L: Sections](layout: L, sketches: Iterable[Sketch[L]]) -> Sketch[L]:
    """Their sum."""
    return sum(sketches, zero(layout))


def laid_out(sizes: Iterable[tuple[str, int]]) -> dict[str, slice]:
    """Sections of these sizes, one after the other."""
    sections, at = {}, 0
    for name, size in sizes:
        sections[name] = slice(at, at + size)
        at += size
    return sections


def digest_of(*meaning: object) -> bytes:
    """A layout's digest: of what its cells mean, and of this code's version."""
    return hashlib.blake2b(repr((_VERSION, *meaning)).encode(), digest_size=8).digest()


def encode[L: Sections](sketch: Sketch[L]) -> bytes:
    """Version, layout digest and the compressed counts; the same bytes for the same sketch."""
    return bytes([_VERSION]) + sketch.layout.digest + zlib.compress(sketch.counts.astype("<i8").tobytes(), 6)


def fits(layout: Sections, data: bytes) -> bool:
    """Whether `decode` will read it: a bundle that can be read only later gives another layout."""
    return data[:9] == bytes([_VERSION]) + layout.digest


def decode[L: Sections](layout: L, data: bytes) -> Sketch[L]:
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


def _same_layout[L: Sections](one: Sketch[L], other: Sketch[L]) -> Sketch[L]:
    if one.layout.digest != other.layout.digest:
        raise InvalidInputError("sketches of different models cannot be added")
    return other
