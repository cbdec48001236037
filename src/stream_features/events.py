"""From the bytes of one stream record to an `Event` or a `Label`; what breaks the schema is refused."""

from stream_features.careful_decoder import CarefulDecoder
from stream_features.event_types import Event, Label, event_hash, label_hash, label_hashes
from stream_features.quick_decoder import QuickDecoder
from stream_features.spec_model import Spec

__all__ = ["Decoder", "Event", "Label", "decoder", "event_hash", "label_hash", "label_hashes"]


def decoder(spec: Spec) -> "Decoder":
    """A decoder of the records that `spec` describes; make one and keep it."""
    return Decoder(spec)


class Decoder:
    """Decodes records. Unknown keys are ignored; of a repeated key the last counts, as JSON readers do."""

    def __init__(self, spec: Spec) -> None:
        self._quick, self._careful = QuickDecoder(spec), CarefulDecoder(spec)

    def decode(self, data: bytes, arrival_ms: int) -> Event | Label:
        """The record in `data`, which reached the stream at `arrival_ms`; else RecordRefusedError."""
        record = self._quick.decode(data, arrival_ms)
        return self._careful.decode(data, arrival_ms) if record is None else record
