"""From the bytes of stream records to `Event` and `Label`; what breaks the schema is refused."""

from collections.abc import Sequence

import msgspec

from common.errors import RecordRefusedError
from stream_features.careful_decoder import CarefulDecoder
from stream_features.entity_ids import EntityIds
from stream_features.event_types import Event, Label, event_hash, event_hashes, label_hash, label_hashes
from stream_features.quick_decoder import QuickDecoder
from stream_features.spec_model import Spec

__all__ = [
    "Decoded",
    "Decoder",
    "Event",
    "Label",
    "decoder",
    "event_hash",
    "event_hashes",
    "label_hash",
    "label_hashes",
]


Decoded = Event | Label | RecordRefusedError
_FEW = 16  # below, arrays do not pay


def decoder(spec: Spec, key: bytes | None = None) -> "Decoder":
    """A decoder of the records that `spec` describes; make one and keep it. InvalidInputError if the spec has
    hashed entities and no key is given.
    """
    return Decoder(spec, key)


class Decoder:
    """Decodes records. Unknown keys are ignored; of a repeated key the last counts, as JSON readers do.

    Entities come by the ids they are kept under: nothing beyond knows more of a hashed one.
    """

    def __init__(self, spec: Spec, key: bytes | None = None) -> None:
        self._quick, self._careful = QuickDecoder(spec), CarefulDecoder(spec)
        self._ids = EntityIds(spec, key)

    def decode(self, data: bytes, arrival_ms: int) -> Event | Label:
        """The record in `data`, which reached the stream at `arrival_ms`; else RecordRefusedError."""
        return self._kept(self._careful.decode(data, arrival_ms))

    def decode_as_sent(self, data: bytes, arrival_ms: int) -> Event | Label:
        """The same with entities as the producer sent them: for what goes (back) on the stream."""
        return self._careful.decode(data, arrival_ms)

    def hidden(self, data: bytes) -> bytes:
        """See `EntityIds.hidden`."""
        return self._ids.hidden(data)

    def decode_all(self, datas: Sequence[bytes], arrivals_ms: Sequence[int]) -> list[Decoded]:
        """What `decode` gives, or the error it raises, for each of many records: quicker than one by one."""
        if len(datas) < _FEW:
            return list(map(self._judged, datas, arrivals_ms))
        found = self._quick.decode(datas, arrivals_ms)
        if not self._ids.are_as_sent:
            found = [None if record is None else self._kept(record) for record in found]
        if None not in found:
            return list(found)  # type: ignore[arg-type]
        triples = zip(found, datas, arrivals_ms, strict=True)
        return [self._judged(data, at) if record is None else record for record, data, at in triples]

    def _judged(self, data: bytes, arrival_ms: int) -> Decoded:
        try:
            return self.decode(data, arrival_ms)
        except RecordRefusedError as error:
            # Kept as a value, of which a batch may hold a million: without the frames it was raised in.
            error.__traceback__ = error.__context__ = error.__cause__ = None
            return error

    def _kept[R: Event | Label](self, record: R) -> R:
        if self._ids.are_as_sent:
            return record
        return msgspec.structs.replace(record, entities=self._ids.of(record.entities))
