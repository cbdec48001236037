"""Plain columns of a batch of records, in arrival order: what the kernel folds and what it gives back."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stream_features.events import Event, Label
from stream_features.spec_model import Scalar, Spec

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]

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
        labels = [record if isinstance(record, Label) else None for record in records]
        return Columns(
            time_ms=np.array([record.time_ms for record in records], np.int64),
            is_event=np.array([label is None for label in labels], np.bool_),
            fields={name: _field(spec, name, records) for name in used_fields(spec)},
            label=np.array([label is not None and label.label for label in labels], np.bool_),
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


@lru_cache(maxsize=65_536)
def text_hash(text: str) -> int:
    """64 bits, signed, never NULL."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return max(int.from_bytes(digest, "little", signed=True), NULL + 1)


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


def _field(
    spec: Spec, name: str, records: Sequence[Event | Label]
) -> NDArray[np.int64] | NDArray[np.float64]:
    if name not in spec.fields:
        place = [entity.name for entity in spec.entities].index(name)
        ids = [record.entities[place] if isinstance(record, Event) else None for record in records]
        return np.array([whole(value) for value in ids], np.int64)
    position, field = list(spec.fields).index(name), spec.fields[name]
    found = [record.values[position] if isinstance(record, Event) else None for record in records]
    if field.kind == "float":
        return np.array([np.nan if value is None else value for value in found], np.float64)
    return np.array([whole(value) for value in found], np.int64)
