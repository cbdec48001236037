"""How a state item's bytes are laid out: `out`, the rows to score; `w` and `s`, what the entity remembers."""

from typing import Any

import msgspec

from common.errors import InvalidInputError

OUT_VERSION = 1


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One event to score. `kept`: in the spec's order, decimals scaled. `vector`: little-endian float32."""

    id: str
    time_ms: int
    arrival_ms: int
    trace: str | None
    entities: tuple[str, ...]
    kept: tuple[Any, ...]
    vector: bytes


class LabelRow(msgspec.Struct, array_like=True, frozen=True):
    """One label on its way to the decision of the event with the same id; `time_ms` is that event's time."""

    id: str
    label: bool
    label_time_ms: int
    time_ms: int
    entities: tuple[str, ...]
    arrival_ms: int


class Out(msgspec.Struct, array_like=True, frozen=True):
    """What one write of a primary item hands to scoring, in arrival order, and the spec of its vectors."""

    version: int
    spec_sha: str
    rows: tuple[Row, ...]
    labels: tuple[LabelRow, ...]


_encoder = msgspec.msgpack.Encoder()
_out_decoder = msgspec.msgpack.Decoder(Out)


def encode_out(out: Out) -> bytes:
    """`out` as the item's attribute: MessagePack, fields by place."""
    return _encoder.encode(out)


def decode_out(blob: bytes) -> Out:
    """The inverse of encode_out; raises InvalidInputError for an unknown version or other bytes."""
    try:
        out = _out_decoder.decode(blob)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"out: not readable ({error})") from error
    if out.version != OUT_VERSION:
        raise InvalidInputError(
            f"out: version {out.version}, this code reads {OUT_VERSION}; deploy scoring first"
        )
    return out
