"""Plain columns of a batch of records, in arrival order: what the kernel folds and what it gives back."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stream_features.events import Event, Label
from stream_features.spec_model import Field, Scalar, Spec

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Vectors = NDArray[np.float32]

NULL = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Columns:
    """Records as arrays of one length, in arrival order; a row is an event or a label.

    ``fields`` holds what features read: scaled integers with NULL for a missing value, float64 with NaN, and
    a 64-bit hash of a text. Labels have NULL there, and 0 stands in the label columns of events.
    """

    time_ms: Ints
    is_event: Bools
    fields: dict[str, NDArray[np.int64] | NDArray[np.float64]]
    label: Bools
    label_time_ms: Ints
    label_hash: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.time_ms)

    @staticmethod
    def from_records(spec: Spec, records: Sequence[Event | Label]) -> "Columns":
        """The columns of `records`, one row each."""
        labels = [record if isinstance(record, Label) else None for record in records]
        return Columns(
            time_ms=np.array([record.time_ms for record in records], np.int64),
            is_event=np.array([label is None for label in labels], np.bool_),
            fields={
                field.name: _field(field, position, records)
                for position, field in enumerate(spec.event.fields)
                if field.name in used_fields(spec)
            },
            label=np.array([label is not None and label.label for label in labels], np.bool_),
            label_time_ms=np.array([label.label_time_ms if label else 0 for label in labels], np.int64),
            label_hash=np.array([label.id_hash if label else 0 for label in labels], np.uint64),
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
    """The fields whose values some feature reads."""
    return frozenset(feature.of for feature in spec.features if feature.of)


@lru_cache(maxsize=65_536)
def text_hash(text: str) -> int:
    """64 bits, signed, never NULL."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return max(int.from_bytes(digest, "little", signed=True), NULL + 1)


def _field(
    field: Field, position: int, records: Sequence[Event | Label]
) -> NDArray[np.int64] | NDArray[np.float64]:
    found = [record.values[position] if isinstance(record, Event) else None for record in records]
    if field.kind == "float":
        return np.array([np.nan if value is None else value for value in found], np.float64)
    return np.array([_whole(value) for value in found], np.int64)


def _whole(value: Scalar | None) -> int:
    if value is None:
        return NULL
    return text_hash(value) if isinstance(value, str) else int(value)
