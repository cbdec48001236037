"""A stray record as it goes back on the stream: marked, so that each entity answers for it by its own ids."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Raw

from stream_features.events import Decoder, Label
from stream_features.spec_model import Spec
from stream_features.verdict import REMEMBERED_IDS
from streamscore.producer.stream import MAX_BYTES_A_REQUEST, MAX_RECORDS_A_REQUEST, Record

MAX_RECORD_BYTES = 1 << 20
"""Of data and key together, unless a stream was told to take more."""
MOST_OF_AN_ENTITY = REMEMBERED_IDS // 2
_MARK = b'"redrive":true}'
_object = msgspec.json.Decoder(dict[str, Raw])


class Origin(NamedTuple):
    """Where a record lies: the object, and its place in it."""

    key: str
    place: int


class Returning(NamedTuple):
    """A record that can go back, as the stream takes it, and its entities' ids."""

    origin: Origin
    record: Record
    entities: Sequence[str]


def returning(spec: Spec, decoder: Decoder, origin: Origin, data: bytes, now_ms: int) -> Returning:
    """The record in `data` as it goes back now; raises RecordRefusedError if it would be refused still."""
    again = marked(data)
    decoded = decoder.decode(again, now_ms)
    key = decoded.entities[0]
    if len(again) + len(key.encode()) > MAX_RECORD_BYTES:
        again = marked(_read_only(spec, data))
    record = Record(decoded.time_ms, key, again, isinstance(decoded, Label))
    return Returning(origin, record, decoded.entities)


def marked(data: bytes) -> bytes:
    """A JSON object with the mark, all else as it was: of a repeated key the last counts.

    >>> marked(b'{"id": 1}')
    b'{"id": 1,"redrive":true}'
    """
    text = data.rstrip()
    if not text.endswith(b"}"):
        return data
    members = text[:-1].rstrip()
    return members + (b"" if members.endswith(b"{") else b",") + _MARK


def requests(records: Iterable[Returning]) -> Iterator[list[Returning]]:
    """Records in their order, in requests that may be sent twice and still count once.

    If a run is killed between a request and the note that it is done, the next one repeats it. So a request
    holds no more records of any entity than half of what an entity remembers, and of a primary entity one:
    then a part of it that fails is no disorder either.
    """
    request: list[Returning] = []
    seen: Counter[tuple[int, str]] = Counter()
    size = 0
    for one in records:
        own = list(enumerate(one.entities))
        bytes_here = len(one.record.data) + len(one.record.key.encode())
        crowded = seen[own[0]] or any(seen[entity] == MOST_OF_AN_ENTITY for entity in own)
        full = len(request) == MAX_RECORDS_A_REQUEST or size + bytes_here > MAX_BYTES_A_REQUEST
        if request and (crowded or full):
            yield request
            request, size = [], 0
            seen.clear()
        request.append(one)
        seen.update(own)
        size += bytes_here
    if request:
        yield request


def _read_only(spec: Spec, data: bytes) -> bytes:
    """The record without what the spec does not read: a stream takes no megabyte and a mark."""
    event = spec.event
    read = {event.id, event.time, event.label, event.trace, "type", "label_time"}
    read |= {entity.field for entity in spec.entities} | {field.path[0] for field in event.fields}
    return msgspec.json.encode({key: raw for key, raw in _object.decode(data).items() if key in read})
