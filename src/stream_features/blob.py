"""The bytes of an entity's state, read and written for many entities at once.

A blob is columnar: a header, the keys of its columns, then for all its event points the time (5 bytes,
counted back from the newest) and each column (4 bytes, or 8 if any value of the blob needs it), the times of
its known positive labels, and the labels it remembers. Equal states have equal bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
    width = np.where(header["flags"] & _WIDE, 8, 4)
    column_counts = header["columns"].astype(np.int64)
    start = _HEADER.itemsize + 4 * column_counts
    after_times = start + _TIME_BYTES * events
    after_columns = after_times + column_counts * width * events
    times = _times(_cut(blobs, start, after_times))
    newest = header["newest"].astype(np.int64)
    tail = np.frombuffer(_cut(blobs, after_columns, after_columns + 8 * positives), "<i8")
    marks_at = after_columns + 8 * positives + 8 * labels
    return States(
        newest_ms=newest,
        event_counts=events,
        event_ms=np.repeat(newest, events) - times,
        columns=_columns(layout, blobs, header, after_times, width),
        positive_counts=positives,
        positive_ms=tail,
        label_counts=labels,
        label_hashes=np.frombuffer(_cut(blobs, marks_at - 8 * labels, marks_at), "<u8"),
        label_marks=np.frombuffer(_cut(blobs, marks_at, marks_at + 8 * labels), "<i8"),
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
    behind = np.repeat(states.newest_ms, states.event_counts) - states.event_ms
    sections = [
        _split(header.tobytes(), np.full(len(header), _HEADER.itemsize)),
        [layout.keys] * len(header),
        _split(_time_bytes(behind), _TIME_BYTES * states.event_counts),
        *[_column_bytes(column, states.event_counts, wide) for column in states.columns],
        _split(states.positive_ms.tobytes(), 8 * states.positive_counts),
        _split(states.label_hashes.tobytes(), 8 * states.label_counts),
        _split(states.label_marks.tobytes(), 8 * states.label_counts),
    ]
    return [b"".join(parts) for parts in zip(*sections, strict=True)]


def _empty(layout: Layout) -> bytes:
    header = np.zeros(1, _HEADER)
    header["version"], header["columns"], header["newest"] = VERSION, len(layout.columns), NEVER
    return header.tobytes() + layout.keys


def _cut(blobs: Sequence[bytes], start: Ints, stop: Ints) -> bytes:
    if np.array_equal(start, stop):
        return b""
    return b"".join([blob[a:b] for blob, a, b in zip(blobs, start.tolist(), stop.tolist(), strict=True)])


def _split(data: bytes, sizes: Ints) -> list[bytes]:
    stops = np.cumsum(sizes)
    return [data[a:b] for a, b in zip((stops - sizes).tolist(), stops.tolist(), strict=True)]


def _times(data: bytes) -> Ints:
    padded = np.zeros((len(data) // _TIME_BYTES, 8), np.uint8)
    padded[:, :_TIME_BYTES] = np.frombuffer(data, np.uint8).reshape(-1, _TIME_BYTES)
    return padded.view("<i8").reshape(-1)


def _time_bytes(behind_ms: Ints) -> bytes:
    return behind_ms.view(np.uint8).reshape(-1, 8)[:, :_TIME_BYTES].tobytes()


def _columns(
    layout: Layout, blobs: Sequence[bytes], header: NDArray[np.void], start: Ints, width: Ints
) -> tuple[Ints, ...]:
    """The layout's columns of all blobs; the common case, all blobs alike and narrow, takes one cast each."""
    events = header["events"].astype(np.int64)
    first, size = _HEADER.itemsize, len(layout.keys)
    alike = np.all(header["columns"] == len(layout.columns)) and np.all(width == 4)
    if alike and all(blob[first : first + size] == layout.keys for blob in blobs):
        cuts = ((start + 4 * i * events, start + 4 * (i + 1) * events) for i in range(len(layout.columns)))
        return tuple(_widened(np.frombuffer(_cut(blobs, a, b), "<i4")) for a, b in cuts)
    found = [_own_columns(blob, int(a), int(w)) for blob, a, w in zip(blobs, start, width, strict=True)]
    keys = [layout.keys[i : i + 4] for i in range(0, size, 4)]
    missing = [np.full(int(count), NULL) for count in events]
    return tuple(
        np.concatenate([own.get(key, absent) for own, absent in zip(found, missing, strict=True)])
        for key in keys
    )


def _own_columns(blob: bytes, start: int, width: int) -> dict[bytes, Ints]:
    """The columns of one blob by their keys, whatever layout wrote it."""
    header = np.frombuffer(blob[: _HEADER.itemsize], _HEADER)[0]
    count, size = int(header["columns"]), int(header["events"]) * width
    columns = {}
    for i in range(count):
        key_at = _HEADER.itemsize + 4 * i
        data = np.frombuffer(blob[start + i * size : start + (i + 1) * size], f"<i{width}")
        columns[blob[key_at : key_at + 4]] = _widened(data) if width == 4 else data.astype(np.int64)
    return columns


def _widened(narrow: NDArray[np.int32]) -> Ints:
    wide = narrow.astype(np.int64)
    wide[narrow == _NARROW_NULL] = NULL
    return wide


def _wide(states: States) -> Bools:
    """Which entities hold a value that needs more than four bytes."""
    wide = np.zeros(len(states.newest_ms), np.bool_)
    owner = np.repeat(np.arange(len(wide)), states.event_counts)
    for column in states.columns:
        large = (column != NULL) & ((column > 2**31 - 1) | (column <= _NARROW_NULL))
        if large.any():
            wide[owner[large]] = True
    return wide


def _column_bytes(column: Ints, counts: Ints, wide: Bools) -> list[bytes]:
    narrow = np.where(column == NULL, _NARROW_NULL, column).astype("<i4")
    if not wide.any():
        return _split(narrow.tobytes(), 4 * counts)
    both = zip(wide, _split(narrow.tobytes(), 4 * counts), _split(column.tobytes(), 8 * counts), strict=True)
    return [eight if is_wide else four for is_wide, four, eight in both]


def runs(counts: Ints) -> Ints:
    """The entity of each entry: [2, 0, 1] becomes [0, 0, 2]."""
    return np.repeat(np.arange(len(counts)), counts)
