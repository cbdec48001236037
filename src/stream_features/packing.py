"""Whole numbers in runs, each run in as few bytes as its largest number needs, for many runs at once.

A width is 0 (all zero), 1 to 5, 8 or 16 bytes, little-endian, signed; the least number of a width stands for
NULL. Numbers beyond 64 bits are Python integers in an object array.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from stream_features.columns import NULL, Ints
from stream_features.ranges import Whole, spread

Widths = NDArray[np.uint8]

_WIDTHS = np.array([0, 1, 2, 3, 4, 5, 8], np.uint8)
_LARGEST = np.array([0, *(2 ** (8 * int(w) - 1) - 1 for w in _WIDTHS[1:])], np.int64)
_HUGE = 16
_MOST_TABLED = 10_000

_PLAIN = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}
_SPLIT = {3: np.dtype([("low", "<u2"), ("high", "i1")]), 5: np.dtype([("low", "<u4"), ("high", "i1")])}


@dataclass(frozen=True)
class Runs:
    """Run i has `counts[i]` numbers of `widths[i]` bytes; ``pieces[at[i]]``, if it has bytes at all."""

    pieces: Sequence[bytes]
    at: Ints
    widths: Widths
    counts: Ints

    def take(self, chosen: Ints) -> "Runs":
        """Some of the runs."""
        return Runs(self.pieces, self.at[chosen], self.widths[chosen], self.counts[chosen])


def pack(values: Whole, counts: Ints) -> Runs:
    """`counts` consecutive values make a run."""
    if values.dtype == object:
        return _pack_mixed(values, counts)
    widths = _widths(values, counts)
    order = _by_width(widths, counts)
    sorted_counts, sorted_widths = counts[order], widths[order]
    ordered = values.take(spread(_first(counts)[order], sorted_counts))
    data = [_narrowed(ordered[part], width) for width, part in _parts(sorted_widths, sorted_counts)]
    at = np.zeros(len(counts), np.int64)
    at[order] = np.arange(len(order))
    return Runs(cut(b"".join(data), sorted_counts * sorted_widths), at, widths, counts)


def unpack(runs: Runs) -> Whole:
    """The reverse: the numbers of all runs, one after the other."""
    runs = runs.take(np.flatnonzero(runs.counts))
    counts = runs.counts
    if (runs.widths == _HUGE).any():
        return _unpack_huge(runs)
    order = _by_width(runs.widths, counts)
    sorted_counts, sorted_widths = counts[order], runs.widths[order]
    data, at = joined(runs.pieces, runs.at[order]), 0
    ordered = np.zeros(int(counts.sum()), np.int64)  # runs without bytes read the zeros at the end
    for width, part in _parts(sorted_widths, sorted_counts):
        size = width * (part.stop - part.start)
        _widen(data[at : at + size], width, ordered[part])
        at += size
    first = np.full(len(counts), sorted_counts.sum())
    first[order] = _first(sorted_counts)
    return ordered.take(spread(first, counts), mode="clip")


def pack_tracks(tracks: Sequence[Whole], counts: Sequence[Ints]) -> Runs:
    """The runs of all tracks, one track after the other; of track i `counts[i]` values make a run each."""
    if not any(track.dtype == object for track in tracks):
        return pack(np.concatenate(tracks), np.concatenate(counts))
    packed = [pack(track, own) for track, own in zip(tracks, counts, strict=True)]
    before = _first(np.array([len(runs.pieces) for runs in packed])).tolist()
    return Runs(
        [piece for runs in packed for piece in runs.pieces],
        np.concatenate([runs.at + first for runs, first in zip(packed, before, strict=True)]),
        np.concatenate([runs.widths for runs in packed]),
        np.concatenate(counts),
    )


def unpack_tracks(pieces: Sequence[bytes], at: Ints, widths: Widths, counts: Ints) -> list[Whole]:
    """The reverse, of arrays by (track, run)."""
    if ((widths == _HUGE) & (counts > 0)).any():
        return [unpack(Runs(pieces, *row)) for row in zip(at, widths, counts, strict=True)]
    values = unpack(Runs(pieces, at.ravel(), widths.ravel(), counts.ravel()))
    ends = counts.sum(axis=1).cumsum().tolist()
    return [values[first:end] for first, end in pairwise([0, *ends])]


def cut(data: bytes, sizes: Ints) -> tuple[bytes, ...]:
    """Consecutive pieces of the given sizes, in one call: a slice each costs several times as much."""
    if sizes.max(initial=0) < _MOST_TABLED:
        formats = _formats()[sizes].tobytes()
    else:
        formats = b"".join([b"%ds" % size for size in sizes.tolist()])
    return Struct(formats).unpack(data)


@cache
def _formats() -> NDArray[np.bytes_]:
    """`struct`'s format of a piece by its size: b"0007s"."""
    return np.array([b"%04ds" % size for size in range(_MOST_TABLED)])


def joined(pieces: Sequence[bytes], at: Ints) -> bytes:
    """The pieces at these places, one after the other."""
    return b"".join(np.fromiter(pieces, object, len(pieces)).take(at).tolist())


def _first(counts: Ints) -> Ints:
    first: Ints = counts.cumsum() - counts
    return first


def _by_width(widths: Widths, counts: Ints) -> Ints:
    """The runs that have bytes, the narrow ones first."""
    filled = np.flatnonzero(widths * counts)
    order: Ints = filled[np.argsort(widths[filled], kind="stable")]
    return order


def _parts(widths: Widths, counts: Ints) -> list[tuple[int, slice]]:
    """Where the numbers of each width lie when all runs, sorted by width, lie one after the other."""
    numbers = np.bincount(widths, counts).astype(np.int64)
    ends = numbers.cumsum().tolist()
    found = np.flatnonzero(numbers).tolist()
    return [(width, slice(ends[width - 1], ends[width])) for width in found]


def _widths(values: Ints, counts: Ints) -> Widths:
    """Of each run the least width that holds its values; NULL needs a byte."""
    largest = np.zeros(len(counts), np.int64)
    filled = counts > 0
    if len(values):
        sizes = np.abs(values)
        if sizes.min() < 0:  # |NULL| is NULL
            sizes[sizes < 0] = 1
        largest[filled] = np.maximum.reduceat(sizes, _first(counts)[filled])
    return _WIDTHS[np.searchsorted(_LARGEST, largest)]


def _narrowed(values: Ints, width: int) -> bytes:
    """The low `width` bytes of each number; of NULL those of the least number."""
    if width < 8:
        missing = values == NULL
        if missing.any():
            values = np.where(missing, -(2 ** (8 * width - 1)), values)
    if width in _PLAIN:
        return values.astype(_PLAIN[width]).tobytes()
    halves = np.empty(len(values), _SPLIT[width])
    halves["low"], halves["high"] = values, values >> 8 * (width - 1)
    return halves.tobytes()


def _widen(data: bytes, width: int, values: Ints) -> None:
    """Fill `values` with the numbers in `data`."""
    if width in _PLAIN:
        values[:] = np.frombuffer(data, _PLAIN[width])
    else:
        halves = np.frombuffer(data, _SPLIT[width])
        values[:] = halves["high"]
        values <<= 8 * (width - 1)
        values |= halves["low"]
    if width < 8:
        values[values == -(2 ** (8 * width - 1))] = NULL


def _pack_mixed(values: Whole, counts: Ints) -> Runs:
    """Runs with a number beyond 64 bits keep all of theirs in 16 bytes, others are packed as ever."""
    run = np.repeat(np.arange(len(counts)), counts)
    beyond = np.array([not -(2**63) <= value < 2**63 for value in values.tolist()], np.bool_)
    huge = np.zeros(len(counts), np.bool_)
    huge[run[beyond]] = True
    plain = pack(values[~huge[run]].astype(np.int64), np.where(huge, 0, counts))
    own = [value.to_bytes(_HUGE, "little", signed=True) for value in values[huge[run]].tolist()]
    at = np.where(huge, len(plain.pieces) + huge.cumsum() - 1, plain.at)
    pieces = [*plain.pieces, *cut(b"".join(own), _HUGE * counts[huge])]
    return Runs(pieces, at, np.where(huge, np.uint8(_HUGE), plain.widths), counts)


def _unpack_huge(runs: Runs) -> Whole:
    values: list[int] = []
    rows = zip(runs.at.tolist(), runs.widths.tolist(), runs.counts.tolist(), strict=True)
    for at, width, count in rows:
        if not width:
            values += [0] * count
            continue
        cuts = range(0, width * count, width)
        own = [int.from_bytes(runs.pieces[at][n : n + width], "little", signed=True) for n in cuts]
        values += [NULL if width < 8 and value == -(2 ** (8 * width - 1)) else value for value in own]
    return np.array(values, object)
