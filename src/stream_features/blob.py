"""The bytes of an entity's state, read and written for many entities at once.

A blob is: the version; how many columns, measures, memories and decays it has, and their keys; the newest
event time; the lengths of its series; the width of each of their tracks; and the tracks. A series is a run
of times, and of numbers that go with each. A time is kept as the gap to the next one (the last as the gap to
the newest event), in milliseconds in the head and in units of the smallest tile elsewhere. Equal states have
equal bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import InvalidInputError
from stream_features.columns import NULL, Ints
from stream_features.layout import Layout
from stream_features.packing import Whole, pack, unpack
from stream_features.tiles import FINE_MS

VERSION = 2
NEVER = NULL  # the newest time of an entity that has seen labels only

_KEY_BYTES = 4


@dataclass(frozen=True)
class Series:
    """Runs of entries: `counts` consecutive ones belong to each entity, in the order of their times."""

    counts: Ints
    time_ms: Ints
    tracks: tuple[Whole, ...]

    def take(self, order: Ints) -> "Series":
        """The runs of the entities in another order."""
        first = (np.cumsum(self.counts) - self.counts)[order]
        counts = self.counts[order]
        at = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
        return Series(counts, self.time_ms[at], tuple(track[at] for track in self.tracks))


@dataclass(frozen=True)
class States:
    """The states of many entities.

    ``head``: the newest events, one by one; tracks are the layout's columns. ``tiles``: older events by the
    start of their tile; tracks are its measures. ``positives`` and ``positive_tiles`` (track: how many):
    known positive labels by the time of their event. ``memories``: values (track) seen before the head's
    events, in the order in which they were last seen, each by its tile then. ``tails``: none or one entry an
    entity, the last event that has left the head; tracks are, for each decay of the layout, numerator and
    denominator as of that event and as of the newest one, float64 seen as int64.
    """

    newest_ms: Ints
    head: Series
    tiles: Series
    positives: Series
    positive_tiles: Series
    tails: Series
    memories: tuple[Series, ...]

    @property
    def series(self) -> tuple[Series, ...]:
        """All series, in the blob's order."""
        fixed = (self.head, self.tiles, self.positives, self.positive_tiles, self.tails)
        return fixed + self.memories

    def take(self, order: Ints) -> "States":
        """The states of the entities in another order."""
        return _states(self.newest_ms[order], [series.take(order) for series in self.series])


def _states(newest_ms: Ints, series: Sequence[Series]) -> States:
    head, tiles, positives, positive_tiles, tails, *memories = series
    return States(newest_ms, head, tiles, positives, positive_tiles, tails, tuple(memories))


@dataclass(frozen=True)
class _Shape:
    """The keys of a blob's parts (columns, measures, memories, decays), and what follows from them."""

    keys: tuple[tuple[bytes, ...], ...]

    @property
    def prefix(self) -> bytes:
        """The first bytes of every blob of this shape."""
        counts = bytes([VERSION, *(len(keys) for keys in self.keys)])
        return counts + b"".join(key for keys in self.keys for key in keys)

    @property
    def tracks(self) -> tuple[int, ...]:
        """How many tracks each series has, beside its times."""
        columns, measures, memories, decays = map(len, self.keys)
        return (columns, measures, 0, 1, 4 * decays, *[1] * memories)

    @property
    def head_bytes(self) -> int:
        """How many bytes stand before the tracks."""
        series = len(self.tracks)
        return len(self.prefix) + 8 + 2 * series + series + sum(self.tracks)

    @staticmethod
    def of(blob: bytes) -> "_Shape":
        if blob[0] != VERSION:
            raise InvalidInputError(
                f"state: a blob of version {blob[0]}, this code reads {VERSION}; deploy the newer code"
            )
        ends = np.cumsum([0, *blob[1:5]]).tolist()
        keys = [blob[5 + _KEY_BYTES * n : 5 + _KEY_BYTES * (n + 1)] for n in range(ends[-1])]
        return _Shape(tuple(tuple(keys[start:end]) for start, end in pairwise(ends)))


def decode(layout: Layout, blobs: Sequence[bytes]) -> States:
    """The states in `blobs`; b"" is an entity without history.

    What a blob of another layout has in common with this one is kept; columns it lacks are NULL and measures
    it lacks start from nothing. InvalidInputError for a blob of an unknown version.
    """
    own = _Shape(layout.parts)
    prefix, empty = own.prefix, _empty(own)
    blobs = [blob or empty for blob in blobs]
    if all([blob.startswith(prefix) for blob in blobs]):
        return _decode(own, blobs)
    shapes: dict[_Shape, list[int]] = {}
    for place, blob in enumerate(blobs):
        shapes.setdefault(_Shape.of(blob), []).append(place)
    parts = [
        _translated(shape, own, layout, _decode(shape, [blobs[place] for place in places]))
        for shape, places in shapes.items()
    ]
    order = np.concatenate([np.array(places, np.int64) for places in shapes.values()])
    return _joined(parts).take(np.argsort(order))


def encode(layout: Layout, states: States) -> list[bytes]:
    """One blob an entity."""
    shape = _Shape(layout.parts)
    count, base_ms = len(states.newest_ms), _base_ms(states.newest_ms)
    widths, parts = [], []
    for number, series in enumerate(states.series):
        gaps = _gaps(series, base_ms, _unit_ms(number))
        for track in (gaps, *series.tracks):
            if len(track):
                width, part = pack(track, series.counts)
                parts.append(part)
            else:
                width = np.zeros(count, np.uint8)
            widths.append(width)
    counts = np.stack([series.counts for series in states.series], axis=1).astype("<u2")
    fixed = np.concatenate(
        [
            np.tile(np.frombuffer(shape.prefix, np.uint8), (count, 1)),
            states.newest_ms.astype("<i8").view(np.uint8).reshape(count, 8),
            counts.view(np.uint8).reshape(count, -1),
            np.stack(widths, axis=1),
        ],
        axis=1,
    ).tobytes()
    size = shape.head_bytes
    heads = [fixed[at : at + size] for at in range(0, len(fixed), size)]
    return [b"".join(pieces) for pieces in zip(heads, *parts, strict=True)]


def _empty(shape: _Shape) -> bytes:
    rest = shape.head_bytes - len(shape.prefix) - 8
    return shape.prefix + NEVER.to_bytes(8, "little", signed=True) + bytes(rest)


def _decode(shape: _Shape, blobs: Sequence[bytes]) -> States:
    """The states in blobs that are all of one shape."""
    size, at = shape.head_bytes, len(shape.prefix)
    fixed = np.frombuffer(b"".join([blob[:size] for blob in blobs]), np.uint8).reshape(len(blobs), size)
    newest_ms = np.ascontiguousarray(fixed[:, at : at + 8]).view("<i8")[:, 0]
    at += 8
    lengths = len(shape.tracks)
    counts = np.ascontiguousarray(fixed[:, at : at + 2 * lengths]).view("<u2").astype(np.int64)
    widths = fixed[:, at + 2 * lengths :]
    series_of_track = np.repeat(np.arange(lengths), np.add(shape.tracks, 1))
    sizes = widths * counts[:, series_of_track]
    starts = size + np.cumsum(sizes, axis=1) - sizes
    tracks = _tracks(blobs, starts, widths, counts[:, series_of_track])
    base_ms, series = _base_ms(newest_ms), []
    for number, more in enumerate(shape.tracks):
        own = counts[:, number]
        times = _times(next(tracks), own, base_ms, _unit_ms(number))
        series.append(Series(own, times, tuple(next(tracks) for _ in range(more))))
    return _states(newest_ms, series)


def _tracks(blobs: Sequence[bytes], starts: Ints, widths: NDArray[np.uint8], counts: Ints) -> Iterator[Whole]:
    for track in range(starts.shape[1]):
        yield unpack(blobs, starts[:, track], widths[:, track], counts[:, track])


def _unit_ms(series: int) -> int:
    """Times of the head, of positives and of tails (series 0, 2, 4) are exact, others starts of tiles."""
    return 1 if series in {0, 2, 4} else FINE_MS


def _base_ms(newest_ms: Ints) -> Ints:
    return np.maximum(newest_ms, 0)


def _gaps(series: Series, base_ms: Ints, unit_ms: int) -> Ints:
    """From each time to the next of its entity; from the last to the base."""
    if not len(series.time_ms):
        return series.time_ms
    units = series.time_ms // unit_ms
    following = np.empty_like(units)
    following[:-1] = units[1:]
    filled = series.counts > 0
    following[(np.cumsum(series.counts) - 1)[filled]] = base_ms[filled] // unit_ms
    return following - units


def _times(gaps: Ints, counts: Ints, base_ms: Ints, unit_ms: int) -> Ints:
    """The reverse of `_gaps`: from the base, less all gaps from a time on."""
    if not len(gaps):
        return gaps
    sums = np.cumsum(gaps)
    last = sums[np.cumsum(counts)[counts > 0] - 1]
    upto = np.repeat(base_ms[counts > 0] // unit_ms - last, counts[counts > 0])
    return (upto + sums - gaps) * unit_ms


def _translated(old: _Shape, new: _Shape, layout: Layout, states: States) -> States:
    """States of another layout, as this one has them."""
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


def _joined(parts: Sequence[States]) -> States:
    series = [
        Series(
            np.concatenate([one.counts for one in same]),
            np.concatenate([one.time_ms for one in same]),
            tuple(np.concatenate(tracks) for tracks in zip(*(one.tracks for one in same), strict=True)),
        )
        for same in zip(*(part.series for part in parts), strict=True)
    ]
    return _states(np.concatenate([part.newest_ms for part in parts]), series)


def runs(counts: Ints) -> NDArray[Any]:
    """The entity of each entry: [2, 0, 1] becomes [0, 0, 2]."""
    return np.repeat(np.arange(len(counts)), counts)
