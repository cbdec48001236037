"""Whole numbers of many owners, each owner's in as few bytes as its largest needs.

A width is 0 (all zero), 1 to 5, 8 or 16 bytes, little-endian, signed; the least number of a width stands for
NULL. Numbers beyond 64 bits are Python integers in an object array.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_features.columns import NULL, Ints

Whole = NDArray[Any]
"""int64, or object with Python integers."""
Widths = NDArray[np.uint8]

_WIDTHS = np.array([0, 1, 2, 3, 4, 5, 8], np.uint8)
_LARGEST = np.array([0, *(2 ** (8 * int(w) - 1) - 1 for w in _WIDTHS[1:])], np.int64)
_HUGE = 16


def pack(values: Whole, counts: Ints) -> tuple[Widths, list[bytes]]:
    """The width and the bytes of each owner; `counts` consecutive values belong to each."""
    if values.dtype == object:
        return _pack_mixed(values, counts)
    widths = _widths(values, counts)
    parts = [b""] * len(counts)
    for width in _distinct(widths):
        chosen = widths == width
        sizes = counts[chosen]
        own = values if int(sizes.sum()) == len(values) else values[np.repeat(chosen, counts)]
        data, at = _narrowed(own, width), 0
        for owner, size in zip(np.flatnonzero(chosen).tolist(), (sizes * width).tolist(), strict=True):
            parts[owner] = data[at : at + size]
            at += size
    return widths, parts


def unpack(blobs: Sequence[bytes], starts: Ints, widths: Widths, counts: Ints) -> Whole:
    """The reverse: the numbers of all owners; those of owner i begin at ``blobs[i][starts[i]]``."""
    filled = counts > 0
    if (widths[filled] == _HUGE).any():
        return _unpack_huge(blobs, starts, widths, counts)
    values = np.zeros(int(counts.sum()), np.int64)
    for width in _distinct(widths[filled]):
        chosen = filled & (widths == width)
        owners, sizes = np.flatnonzero(chosen).tolist(), (counts[chosen] * width).tolist()
        places = zip(owners, starts[chosen].tolist(), sizes, strict=True)
        own = _widened(b"".join([blobs[owner][at : at + size] for owner, at, size in places]), width)
        if len(own) == len(values):
            return own
        values[np.repeat(chosen, counts)] = own
    return values


def _widths(values: Ints, counts: Ints) -> Widths:
    """Of each owner the least width that holds its values; NULL needs a byte."""
    largest = np.zeros(len(counts), np.int64)
    filled = np.flatnonzero(counts)
    if len(filled):
        sizes = np.abs(values)
        sizes[values == NULL] = 1
        largest[filled] = np.maximum.reduceat(sizes, (np.cumsum(counts) - counts)[filled])
    return _WIDTHS[np.searchsorted(_LARGEST, largest)]


def _distinct(widths: Widths) -> list[int]:
    """The widths that occur, but 0."""
    return [width for width in np.flatnonzero(np.bincount(widths)).tolist() if width]


def _narrowed(values: Ints, width: int) -> bytes:
    if width < 8:
        missing = values == NULL
        if missing.any():
            values = np.where(missing, -(2 ** (8 * width - 1)), values)
    if width in {1, 2, 4}:  # a cast is much quicker than a cut through wider numbers
        return values.astype(f"<i{width}").tobytes()
    return np.ascontiguousarray(values, "<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()


def _widened(data: bytes, width: int) -> Ints:
    if width in {1, 2, 4, 8}:
        values = np.frombuffer(data, f"<i{width}").astype(np.int64)
    else:
        padded = np.zeros((len(data) // width, 8), np.uint8)
        padded[:, 8 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        values = padded.view("<i8")[:, 0] >> (64 - 8 * width)
    if width < 8:
        values[values == -(2 ** (8 * width - 1))] = NULL
    return values


def _pack_mixed(values: Whole, counts: Ints) -> tuple[Widths, list[bytes]]:
    """Owners with a number beyond 64 bits keep all of theirs in 16 bytes, others are packed as ever."""
    owner = np.repeat(np.arange(len(counts)), counts)
    beyond = np.array([not -(2**63) <= value < 2**63 for value in values.tolist()], np.bool_)
    huge = np.zeros(len(counts), np.bool_)
    huge[owner[beyond]] = True
    plain = np.where(huge, 0, counts)
    widths, parts = pack(values[~huge[owner]].astype(np.int64), plain)
    widths[huge] = _HUGE
    for place in np.flatnonzero(huge).tolist():
        own = values[owner == place].tolist()
        parts[place] = b"".join([value.to_bytes(_HUGE, "little", signed=True) for value in own])
    return widths, parts


def _unpack_huge(blobs: Sequence[bytes], starts: Ints, widths: Widths, counts: Ints) -> Whole:
    values: list[int] = []
    for blob, at, width, count in zip(blobs, starts.tolist(), widths.tolist(), counts.tolist(), strict=True):
        cuts = range(at, at + width * count, width) if width else ()
        own = [int.from_bytes(blob[cut : cut + width], "little", signed=True) for cut in cuts]
        values += [NULL if width < 8 and value == -(2 ** (8 * width - 1)) else value for value in own]
        values += [0] * (count - len(own))
    return np.array(values, object)
