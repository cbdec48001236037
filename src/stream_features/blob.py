"""The bytes of an entity's state, read and written for many entities at once.

A blob is a header, the keys of its columns, its event points (each a time of 5 bytes, counted back from the
newest, and 4 bytes a column, or 8 if any value of the blob needs it), the times of its known positive labels,
and the labels it remembers (16 bytes each). Equal states have equal bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream_features.columns import NULL, Bools, Ints
from stream_features.layout import Layout

VERSION = 1
REMEMBERED_LABELS = 64
NEVER = NULL  # the newest time of an entity that has seen labels only

_WIDE = 1
_NARROW_NULL = int(np.iinfo(np.int32).min)
_TIME_BYTES = 5
_HEADER = np.dtype(
    [
        ("version", "u1"),
        ("flags", "u1"),
        ("columns", "u1"),
        ("labels", "u1"),
        ("events", "<u4"),
        ("positives", "<u4"),
        ("newest", "<i8"),
    ]
)


@dataclass(frozen=True)
class States:
    """The states of many entities. ``*_counts`` say how many consecutive entries belong to each entity.

    Event points are in the order (time, arrival), positives by time, remembered labels by arrival.
    ``label_marks`` are the label's time × 2, plus 1 if it is positive.
    """

    newest_ms: Ints
    event_counts: Ints
    event_ms: Ints
    columns: tuple[Ints, ...]
    positive_counts: Ints
    positive_ms: Ints
    label_counts: Ints
    label_hashes: NDArray[np.uint64]
    label_marks: Ints


def decode(layout: Layout, blobs: Sequence[bytes]) -> States:
    """The states in `blobs`; b"" is an entity without history. Columns the blob lacks are NULL."""
    empty = _empty(layout)
    blobs = [blob or empty for blob in blobs]
    header = np.frombuffer(b"".join([blob[: _HEADER.itemsize] for blob in blobs]), _HEADER)
    if not np.all(header["version"] == VERSION):
        raise ValueError(f"a state blob of an unknown version: {set(header['version'].tolist())}")
    events, positives, labels = (header[name].astype(np.int64) for name in ("events", "positives", "labels"))
    newest = header["newest"].astype(np.int64)
    starts = _HEADER.itemsize + 4 * header["columns"].astype(np.int64)
    ends = starts + _point_bytes(header["columns"].astype(np.int64), header["flags"] & _WIDE) * events
    ages, columns = _points(layout, blobs, header, starts, ends)
    memory = np.frombuffer(_cut(blobs, ends + 8 * positives, 16 * labels), "<u8").reshape(-1, 2)
    return States(
        newest_ms=newest,
        event_counts=events,
        event_ms=np.repeat(newest, events) - ages,
        columns=columns,
        positive_counts=positives,
        positive_ms=np.frombuffer(_cut(blobs, ends, 8 * positives), "<i8"),
        label_counts=labels,
        label_hashes=memory[:, 0],
        label_marks=memory[:, 1].astype(np.int64),
    )


def encode(layout: Layout, states: States) -> list[bytes]:
    """One blob an entity."""
    wide = _wide(states)
    header = np.zeros(len(states.newest_ms), _HEADER)
    header["version"] = VERSION
    header["flags"] = np.where(wide, _WIDE, 0)
    header["columns"] = len(layout.columns)
    header["labels"] = states.label_counts
    header["events"] = states.event_counts
    header["positives"] = states.positive_counts
    header["newest"] = states.newest_ms
    memory = np.stack([states.label_hashes, states.label_marks.astype(np.uint64)], axis=1)
    sections = [
        _split(header.tobytes(), np.full(len(header), _HEADER.itemsize)),
        [layout.keys] * len(header),
        _point_sections(states, wide),
        _split(states.positive_ms.tobytes(), 8 * states.positive_counts),
        _split(memory.tobytes(), 16 * states.label_counts),
    ]
    return [b"".join(parts) for parts in zip(*filter(None, sections), strict=True)]


def _empty(layout: Layout) -> bytes:
    header = np.zeros(1, _HEADER)
    header["version"], header["columns"], header["newest"] = VERSION, len(layout.columns), NEVER
    return header.tobytes() + layout.keys


def _point_bytes(columns: Ints, wide: Ints) -> Ints:
    return _TIME_BYTES + columns * np.where(wide, 8, 4)


def _cut(blobs: Sequence[bytes], starts: Ints, sizes: Ints) -> bytes:
    """The same section of all blobs, joined."""
    if not sizes.any():
        return b""
    stops = (starts + sizes).tolist()
    return b"".join(
        [blob[start:stop] for blob, start, stop in zip(blobs, starts.tolist(), stops, strict=True)]
    )


def _split(data: bytes, sizes: Ints) -> list[bytes]:
    """The reverse of `_cut`; an empty list if there is nothing at all."""
    if not data:
        return []
    stops = np.cumsum(sizes)
    return [data[start:stop] for start, stop in zip((stops - sizes).tolist(), stops.tolist(), strict=True)]


def _points(
    layout: Layout, blobs: Sequence[bytes], header: NDArray[np.void], starts: Ints, ends: Ints
) -> tuple[Ints, tuple[Ints, ...]]:
    """Ages and the layout's columns of all points; blobs that are alike and narrow, the usual case, fast."""
    first, size = _HEADER.itemsize, len(layout.keys)
    alike = np.all(header["columns"] == len(layout.columns)) and not np.any(header["flags"] & _WIDE)
    if alike and all([blob[first : first + size] == layout.keys for blob in blobs]):
        ages, *columns = _read_points(_cut(blobs, starts, ends - starts), len(layout.columns), 4)
        return ages, tuple(columns)
    parts = [_own_points(blob, start, end) for blob, start, end in zip(blobs, starts, ends, strict=True)]
    keys = [layout.keys[i : i + 4] for i in range(0, size, 4)]
    return np.concatenate([ages for ages, _ in parts]), tuple(
        np.concatenate([own.get(key, np.full(len(ages), NULL)) for ages, own in parts]) for key in keys
    )


def _own_points(blob: bytes, start: int, end: int) -> tuple[Ints, dict[bytes, Ints]]:
    """Ages and columns, by their keys, of one blob, whatever layout wrote it."""
    header = np.frombuffer(blob[: _HEADER.itemsize], _HEADER)[0]
    keys = [blob[at : at + 4] for at in range(_HEADER.itemsize, start, 4)]
    ages, *columns = _read_points(blob[start:end], len(keys), 8 if header["flags"] & _WIDE else 4)
    return ages, dict(zip(keys, columns, strict=True))


def _read_points(data: bytes, columns: int, width: int) -> list[Ints]:
    """Ages, then each column."""
    points = np.frombuffer(data, _point(columns, width))
    ages = points["age_high"].astype(np.int64) << 32 | points["age_low"]
    return [ages, *[_widened(points[str(place)]) for place in range(columns)]]


@cache
def _point(columns: int, width: int) -> np.dtype[np.void]:
    values = [(str(place), f"<i{width}") for place in range(columns)]
    return np.dtype([("age_low", "<u4"), ("age_high", "u1"), *values])


def _widened(values: NDArray[np.signedinteger[Any]]) -> Ints:
    wide = values.astype(np.int64)
    if values.dtype.itemsize == 4:
        wide[wide == _NARROW_NULL] = NULL
    return wide


def _wide(states: States) -> Bools:
    """Which entities hold a value that needs more than four bytes."""
    wide = np.zeros(len(states.newest_ms), np.bool_)
    owner = runs(states.event_counts)
    for column in states.columns:
        large = (column != NULL) & ((column > 2**31 - 1) | (column <= _NARROW_NULL))
        wide[owner[large]] = True
    return wide


def _point_sections(states: States, wide: Bools) -> list[bytes]:
    columns, counts = len(states.columns), states.event_counts
    narrow = _split(_write_points(states, 4), (_TIME_BYTES + 4 * columns) * counts)
    if not wide.any():
        return narrow
    full = _split(_write_points(states, 8), (_TIME_BYTES + 8 * columns) * counts)
    return [eight if is_wide else four for is_wide, four, eight in zip(wide, narrow, full, strict=True)]


def _write_points(states: States, width: int) -> bytes:
    """The reverse of `_read_points`; values that need more than `width` bytes come out wrong."""
    ages = np.repeat(states.newest_ms, states.event_counts) - states.event_ms
    points = np.empty(len(ages), _point(len(states.columns), width))
    points["age_low"], points["age_high"] = ages & 0xFFFF_FFFF, ages >> 32
    for place, column in enumerate(states.columns):
        points[str(place)] = np.where(column == NULL, _NARROW_NULL, column) if width == 4 else column
    return points.tobytes()


def runs(counts: Ints) -> Ints:
    """The entity of each entry: [2, 0, 1] becomes [0, 0, 2]."""
    return np.repeat(np.arange(len(counts)), counts)
