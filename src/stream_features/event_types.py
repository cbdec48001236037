"""What a stream record is once decoded, and the hashes under which its id is remembered."""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from stream_features.spec_model import Scalar


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event. ``values`` follow the spec's fields: scaled integers, float, str, bool or None."""

    id: str
    id_hash: int
    time_ms: int
    arrival_ms: int
    trace: str | None
    entities: tuple[str, ...]
    values: tuple[Scalar | None, ...]
    kept: tuple[Scalar | None, ...]
    redrive: bool = False


class Label(msgspec.Struct, frozen=True, gc=False):
    """What an event turned out to be. ``id``, ``time_ms`` and ``entities`` are the event's."""

    id: str
    id_hash: int
    time_ms: int
    arrival_ms: int
    label: bool
    label_time_ms: int
    entities: tuple[str, ...]
    redrive: bool = False


def event_hash(event_id: str) -> int:
    """64-bit hash under which an event's id is remembered."""
    return event_hashes([event_id])[0]


def label_hash(event_id: str) -> int:
    """64-bit hash under which a label of that event is remembered."""
    return label_hashes([event_id])[0]


def event_hashes(event_ids: Sequence[str]) -> list[int]:
    """`event_hash` of many."""
    return _hashes(_EVENT, event_ids)


def label_hashes(event_ids: Sequence[str]) -> list[int]:
    """`label_hash` of many."""
    return _hashes(_LABEL, event_ids)


_EVENT, _LABEL = (hashlib.blake2b(kind, digest_size=8) for kind in (b"e:", b"l:"))


def _hashes(begun: "hashlib.blake2b", texts: Sequence[str]) -> list[int]:
    """Copies of a hash that has begun cost half of what new ones do."""
    digests = []
    for text in texts:
        own = begun.copy()
        own.update(text.encode())
        digests.append(own.digest())
    found: list[int] = np.frombuffer(b"".join(digests), "<u8").tolist()
    return found
