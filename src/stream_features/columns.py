"""Plain columns of a batch of records, in arrival order: what the kernel folds and what it gives back."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from stream_features.events import Event, Label
from stream_features.spec_model import FieldKind, Scalar, Spec

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]
Column = Sequence[Scalar | None]

NULL = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Columns:
    """Records as arrays of one length, in arrival order; a row is an event or a label.

    ``fields`` holds what features read, by the names they use: scaled integers with NULL for a missing value,
    float64 with NaN, and a 64-bit hash of a text or of an entity's id. Labels have NULL there. ``label`` is
    False for events.
    """

    time_ms: Ints
    is_event: Bools
    fields: dict[str, NDArray[np.int64] | NDArray[np.float64]]
    label: Bools

    def __len__(self) -> int:
        return len(self.time_ms)

    @staticmethod
    def from_records(spec: Spec, records: Sequence[Event | Label]) -> "Columns":
        """The columns of `records`, one row each."""
        events = [record if type(record) is Event else None for record in records]
        return Columns(
            time_ms=np.array([record.time_ms for record in records], np.int64),
            is_event=np.array([event is not None for event in events], np.bool_),
            fields=_fields(spec, events),
            label=np.array([type(record) is Label and record.label for record in records], np.bool_),
        )


@dataclass(frozen=True)
class Group:
    """The rows of a batch by one entity: row i belongs to ``blobs[codes[i]]`` (b"" for a new entity).

    A row whose ``apply`` is False does not enter the state; if it is an event, its features still read it.
    ``deltas`` int8[n] says what an applied label row changes: +1, a positive becomes known; -1, a correction
    takes one back; 0, nothing. None stands for: every applied label that is true is new.
    """

    codes: NDArray[np.int32]
    blobs: Sequence[bytes]
    apply: Bools
    deltas: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class Folded:
    """``features`` float32[n, F], NaN for labels; ``blobs`` per entity, the same object if unchanged."""

    features: Vectors
    blobs: list[list[bytes]]


def used_fields(spec: Spec) -> frozenset[str]:
    """The fields, and the entities, whose values some feature reads."""
    known = spec.fields.keys() | {entity.name for entity in spec.entities}
    names = {name for feature in spec.features for name in (feature.of, *dict(feature.where))}
    return frozenset(name for name in names if name in known)


class _TextHashes(dict[Scalar | None, int]):
    """Hashes of texts seen lately, NULL for None. An LRU cache takes three times as long for a known one."""

    def __missing__(self, text: Scalar | None) -> int:
        if len(self) >= _TEXTS_KNOWN:
            self.clear()
        self[text] = found = NULL if text is None else _new_hash(str(text))
        return found


_TEXTS_KNOWN = 65_536
_text_hashes = _TextHashes()


def _new_hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return max(int.from_bytes(digest, "little", signed=True), NULL + 1)


def text_hash(text: str) -> int:
    """64 bits, signed, never NULL."""
    return _text_hashes[text]


def whole(value: Scalar | None) -> int:
    """A field's value as int64: a hash of a text, NULL for a missing one."""
    if value is None:
        return NULL
    return text_hash(value) if isinstance(value, str) else int(value)


def tokens(values: Ints) -> Ints:
    """32 bits of each value, signed, for telling values apart; NULL stays NULL.

    Values are mixed first, so that numbers that differ in their high bits only do not fall together.
    (The finalizer of splitmix64: Steele, Lea and Flood, 2014.)
    """
    mixed = values.view(np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    found = (mixed >> np.uint64(32)).astype(np.uint32).view(np.int32).astype(np.int64)
    return np.where(values == NULL, NULL, found)


def numbered(names: Sequence[str]) -> tuple[list[str], NDArray[np.int32]]:
    """Each name once, as they first occur, and the place among these of every one."""
    places: defaultdict[str, int] = defaultdict(count().__next__)
    codes = np.fromiter(map(places.__getitem__, names), np.int32, len(names))
    return list(places), codes


def _fields(spec: Spec, events: Sequence[Event | None]) -> dict[str, Ints | Floats]:
    """What features read of each event; nothing of None, which stands for a label."""
    ids = _transposed([None if event is None else event.entities for event in events], len(spec.entities))
    values = _transposed([None if event is None else event.values for event in events], len(spec.fields))
    columns = {entity.name: column for entity, column in zip(spec.entities, ids, strict=True)}
    columns |= {field.name: column for field, column in zip(spec.event.fields, values, strict=True)}
    kinds = {field.name: field.kind for field in spec.event.fields}
    return {name: _array(kinds.get(name, "string"), columns[name]) for name in used_fields(spec)}


def _transposed(rows: Sequence[tuple[Scalar | None, ...] | None], width: int) -> list[Column]:
    nothing = (None,) * width
    return list(zip(*[row or nothing for row in rows], strict=True)) if rows and width else [()] * width


def _array(kind: FieldKind, column: Column) -> Ints | Floats:
    if kind == "float":
        return np.array([np.nan if value is None else value for value in column], np.float64)
    if kind == "string":
        return np.fromiter(map(_text_hashes.__getitem__, column), np.int64, len(column))
    return np.array([NULL if value is None else value for value in column], np.int64)
