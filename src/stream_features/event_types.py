"""What a stream record is once decoded, and the hashes under which its id is remembered."""

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

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
    return _hash64("e:" + event_id)


def label_hash(event_id: str) -> int:
    """64-bit hash under which a label of that event is remembered."""
    return _hash64("l:" + event_id)


def label_hashes(event_ids: Sequence[str]) -> NDArray[np.uint64]:
    """`label_hash` of many."""
    digests = [hashlib.blake2b(("l:" + name).encode(), digest_size=8).digest() for name in event_ids]
    return np.frombuffer(b"".join(digests), "<u8")


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
