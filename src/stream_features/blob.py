"""The bytes of an entity's state, read and written for many entities at once.

A blob is: the version; how many columns, measures, memories and decays it has, and their keys; the newest
event time; the lengths of its series; the width of each of their tracks; and the tracks. A series is a run
of times, and of numbers that go with each. A time is kept as the gap to the next one (the last as the gap to
the newest event), in milliseconds in the head and in units of the smallest tile elsewhere. Equal states have
equal bytes.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidInputError
from stream_features.columns import NULL, Ints
from stream_features.layout import Layout
from stream_features.packing import Runs, cut, joined, pack_tracks, unpack_tracks
from stream_features.ranges import Whole
from stream_features.states import NEVER, Series, States, states_of
from stream_features.states import joined as joined_states
from stream_features.tiles import FINE_MS

VERSION = 2

_KEY_BYTES = 4


@dataclass(frozen=True)
class _Shape:
    """The keys of a blob's parts (columns, measures, memories, decays), and what follows from them."""

    keys: tuple[tuple[bytes, ...], ...]

    @cached_property
    def prefix(self) -> bytes:
        """The first bytes of every blob of this shape."""
        counts = bytes([VERSION, *(len(keys) for keys in self.keys)])
        return counts + b"".join(key for keys in self.keys for key in keys)

    @cached_property
    def tracks(self) -> tuple[int, ...]:
        """How many tracks each series has, beside its times."""
        columns, measures, memories, decays = map(len, self.keys)
        return (columns, measures, 0, 1, 4 * decays, *[1] * memories)

    @cached_property
    def head(self) -> np.dtype[np.void]:
        """What stands before the tracks."""
        series, tracks = len(self.tracks), sum(self.tracks)
        return np.dtype(
            [
                ("prefix", "u1", len(self.prefix)),
                ("newest_ms", "<i8"),
                ("counts", "<u2", series),
                ("widths", "u1", series + tracks),
            ]
        )

    @cached_property
    def empty(self) -> bytes:
        """The blob of an entity without history."""
        rest = self.head.itemsize - len(self.prefix) - 8
        return self.prefix + NEVER.to_bytes(8, "little", signed=True) + bytes(rest)

    @staticmethod
    def of(blob: bytes) -> "_Shape":
        if blob[0] != VERSION:
            raise InvalidInputError(
                f"state: a blob of version {blob[0]}, this code reads {VERSION}; deploy the newer code"
            )
        ends = np.cumsum([0, *blob[1:5]]).tolist()
        keys = [blob[5 + _KEY_BYTES * n : 5 + _KEY_BYTES * (n + 1)] for n in range(ends[-1])]
        return _shape(tuple(tuple(keys[start:end]) for start, end in pairwise(ends)))


@lru_cache(maxsize=64)
def _shape(keys: tuple[tuple[bytes, ...], ...]) -> _Shape:
    return _Shape(keys)


def decode(layout: Layout, blobs: Sequence[bytes]) -> States:
    """The states in `blobs`; b"" is an entity without history.

    What a blob of another layout has in common with this one is kept; columns it lacks are NULL and measures
    it lacks start from nothing. InvalidInputError for a blob of an unknown version
    or other bytes.
    """
    try:
        return _decoded(layout, blobs)
    except _UNREADABLE as error:
        raise InvalidInputError(
            f"state: a blob is not readable ({error}); restore the table to a time before, or load it anew"
        ) from error


_UNREADABLE = (ValueError, LookupError, OverflowError, MemoryError, struct.error)
"""What numpy, struct and we raise where lengths or widths do not fit the bytes."""


def _decoded(layout: Layout, blobs: Sequence[bytes]) -> States:
    own = _shape(layout.parts)
    empty = own.empty
    blobs = [blob or empty for blob in blobs]
    states = _decode(own, blobs)
    if states is not None:
        return states
    shapes: dict[_Shape, list[int]] = {}
    for place, blob in enumerate(blobs):
        shapes.setdefault(_Shape.of(blob), []).append(place)
    parts = [
        _translated(shape, own, layout, [blobs[place] for place in places])
        for shape, places in shapes.items()
    ]
    order = np.concatenate([np.array(places, np.int64) for places in shapes.values()])
    return joined_states(parts).take(np.argsort(order))


def encode(layout: Layout, states: States) -> list[bytes]:
    """One blob an entity."""
    shape, count = _shape(layout.parts), len(states.newest_ms)
    if not count:
        return []
    runs = _packed(states)
    heads = np.empty(count, shape.head)
    heads["prefix"] = np.frombuffer(shape.prefix, np.uint8)
    heads["newest_ms"] = states.newest_ms
    for number, series in enumerate(states.series):
        heads["counts"][:, number] = series.counts
    heads["widths"] = runs.widths.reshape(-1, count).T
    sizes = _sizes(shape, (runs.widths * runs.counts).reshape(-1, count))
    at = np.empty(sizes.shape, np.int64)
    at[:, 0] = np.arange(count) + len(runs.pieces)
    at[:, 1:] = runs.at.reshape(-1, count).T
    pieces = [*runs.pieces, *cut(heads.tobytes(), sizes[:, 0])]
    return list(cut(joined(pieces, at[sizes > 0]), sizes.sum(axis=1)))


def _sizes(shape: _Shape, tracks: Ints) -> Ints:
    """Bytes by (entity, piece): of the head, and of the tracks, given by (track, entity)."""
    sizes = np.empty((tracks.shape[1], 1 + tracks.shape[0]), np.int64)
    sizes[:, 0], sizes[:, 1:] = shape.head.itemsize, tracks.T
    return sizes


def _packed(states: States) -> Runs:
    """The tracks of all series, in the blob's order."""
    base_ms = np.maximum(states.newest_ms, 0)
    tracks: list[Whole] = []
    counts: list[Ints] = []
    for number, series in enumerate(states.series):
        own = (_gaps(series, base_ms, _unit_ms(number)), *series.tracks)
        tracks += own
        counts += [series.counts] * len(own)
    return pack_tracks(tracks, counts)


def _heads(shape: _Shape, data: bytes, starts: Ints) -> NDArray[Any] | None:
    """The heads of the blobs that begin at `starts` of `data`; None if not all are of this shape."""
    size = shape.head.itemsize
    if int(starts[-1]) + size > len(data):
        return None
    heads = np.ndarray((len(data) - size + 1,), shape.head, data, strides=(1,))[starts]
    same = heads["prefix"] == np.frombuffer(shape.prefix, np.uint8)
    return heads if same.all() else None


def _decode(shape: _Shape, blobs: Sequence[bytes]) -> States | None:
    """The states in blobs of one shape; None if not all are of it."""
    data, lengths = b"".join(blobs), np.fromiter(map(len, blobs), np.int64, len(blobs))
    heads = _heads(shape, data, lengths.cumsum() - lengths)
    if heads is None:
        return None
    counts = heads["counts"].T.astype(np.int64)
    widths = np.ascontiguousarray(heads["widths"].T)
    by_track = counts.repeat(np.add(shape.tracks, 1), axis=0)
    sizes = _sizes(shape, widths * by_track)
    at = (sizes > 0).ravel().cumsum().reshape(sizes.shape) - 1
    pieces = cut(data, sizes[sizes > 0])
    tracks = iter(unpack_tracks(pieces, at[:, 1:].T, widths, by_track))
    newest_ms = heads["newest_ms"].astype(np.int64)
    base_ms, series = np.maximum(newest_ms, 0), []
    for number, more in enumerate(shape.tracks):
        times = _times(next(tracks), counts[number], base_ms, _unit_ms(number))
        series.append(Series(counts[number], times, tuple(next(tracks) for _ in range(more))))
    return states_of(newest_ms, series)


def _unit_ms(series: int) -> int:
    """Times of the head, of positives and of tails (series 0, 2, 4) are exact, others starts of tiles."""
    return 1 if series in {0, 2, 4} else FINE_MS


def _gaps(series: Series, base_ms: Ints, unit_ms: int) -> Ints:
    """From each time to the next of its entity; from the last to the base."""
    if not len(series.time_ms):
        return series.time_ms
    units = series.time_ms // unit_ms if unit_ms > 1 else series.time_ms
    following = np.empty_like(units)
    following[:-1] = units[1:]
    filled = series.counts > 0
    following[(np.cumsum(series.counts) - 1)[filled]] = base_ms[filled] // unit_ms
    return following - units


def _times(gaps: Ints, counts: Ints, base_ms: Ints, unit_ms: int) -> Ints:
    """The reverse of `_gaps`: from the base, less all gaps from a time on."""
    if not len(gaps):
        return gaps
    sums = np.append(0, gaps.cumsum())
    upto = base_ms // unit_ms - sums[counts.cumsum()]
    times: Ints = upto.repeat(counts)
    times += sums[:-1]
    return times * unit_ms if unit_ms > 1 else times


def _translated(old: _Shape, new: _Shape, layout: Layout, blobs: Sequence[bytes]) -> States:
    """The states in blobs of another shape, as this layout has them."""
    states = _decode(old, blobs)
    if states is None:
        raise InvalidInputError("state: a blob is cut off; load-state writes it anew")
    if old == new:
        return states
    of_columns, of_measures, of_memories, of_decays = (
        [keys.index(key) if key in keys else None for key in wanted]
        for keys, wanted in zip(old.keys, new.keys, strict=True)
    )
    nothing = {"count": 0, "sum": 0, "squares": 0, "min": NULL, "max": NULL}
    entities = len(states.newest_ms)
    tails = [None if n is None else 4 * n + part for n in of_decays for part in range(4)]
    no_times = np.zeros(0, np.int64)
    none = Series(np.zeros(entities, np.int64), no_times, (no_times,))
    return States(
        states.newest_ms,
        _chosen(states.head, of_columns, [NULL] * len(of_columns)),
        _chosen(states.tiles, of_measures, [nothing[measure.kind] for measure in layout.measures]),
        states.positives,
        states.positive_tiles,
        _chosen(states.tails, tails, [0] * len(tails)) if tails else Series(none.counts, no_times, ()),
        tuple(none if n is None else states.memories[n] for n in of_memories),
    )


def _chosen(series: Series, places: Sequence[int | None], nothing: Sequence[int]) -> Series:
    tracks = [
        np.full(len(series.time_ms), value, np.int64) if place is None else series.tracks[place]
        for place, value in zip(places, nothing, strict=True)
    ]
    return Series(series.counts, series.time_ms, tuple(tracks))
