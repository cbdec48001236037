"""How a state item's bytes are laid out: `out`, the rows to score; `w` and `s`, what the entity remembers."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

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


def packed_size(thing: object) -> int:
    """How many bytes MessagePack makes of plain data."""
    return len(_encoder.encode(thing))


def decode_out(blob: bytes) -> Out:
    """The inverse of encode_out; raises InvalidInputError for an unknown version or other bytes."""
    try:
        out = _out_decoder.decode(blob)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"out: not readable ({error})") from error
    if out.version != OUT_VERSION:
        raise InvalidInputError(
            f"out: version {out.version}, this code reads {OUT_VERSION}; deploy scoring first"
        )
    return out


Order = tuple[int, int]
"""(sequence, sub-sequence): where a record stands within its shard."""

BEFORE_ALL: Order = (-1, -1)
STATE_VERSION = 2  # 1 remembered ids by 8 bytes and labels without their values
SPLIT_VERSION = 3
"""Of the item of a shared entity whose records go to sub-items from now on (see sharing); else as 2."""
RETENTION_MS = 168 * 3_600_000
_DAY_MS = 86_400_000
_SPLIT = bytes([SPLIT_VERSION])
_TIME_BYTES = 8
_SHARD_ID = re.compile(r"shardId-(\d{12})")


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """A watermark: the last position of one shard that an item has seen, and when that record arrived."""

    shard: int
    sequence: bytes
    sub_sequence: int
    arrival_s: int


class Repeat(msgspec.Struct, array_like=True, frozen=True):
    """Producer's duplicates that a watermark has passed and that can be delivered again, of one sequence.

    `subs`: bit n stands for sub-sequence n, so that an aggregate of thousands takes few bytes.
    """

    shard: int
    sequence: bytes
    subs: bytes


class Memory(msgspec.Struct, array_like=True, frozen=True):
    """The `s` attribute: ids and labels remembered (packed, oldest first), repeats, and the kernel's blob."""

    version: int
    ids: bytes
    labels: bytes
    repeats: tuple[Repeat, ...]
    blob: bytes


class SubMemory(Memory, frozen=True):
    """The `s` of a sub-item whose entity lost positives that lie elsewhere: their events' times, packed."""

    withdrawn: bytes = b""


class Stored(NamedTuple):
    """An item as it lies in the table; version 0 stands for no item."""

    v: int
    w: bytes
    s: bytes


ABSENT = Stored(0, b"", b"")


@dataclass(slots=True)
class Item:
    """One entity's item as the batch of one shard sees it; `mark` is that shard's watermark.

    A sub-item has its entity's main item as `main`, and the greater of their two watermarks.
    """

    v: int = 0
    mark: Order = BEFORE_ALL
    arrival_ms: int = 0
    other_marks: tuple[Mark, ...] = ()
    ids: bytes = b""
    labels: bytes = b""
    repeats: frozenset[Order] = frozenset()
    other_repeats: tuple[Repeat, ...] = ()
    blob: bytes = b""
    changed: bool = False
    main: "Item | None" = None
    withdrawn_ms: tuple[int, ...] = ()


_marks_decoder = msgspec.msgpack.Decoder(tuple[Mark, ...])
_memory_decoder = msgspec.msgpack.Decoder(SubMemory)


def item_key(entity: str, value: str) -> str:
    """The `pk` of an entity's item. A decoder's ids have at most 1,024 bytes, so it fits a key (2,048)."""
    return f"{entity}#{value}"


CUTOVER_KEY = "cutover"
"""The `pk` of the cut-over mark; an entity's holds a `#`."""


def cutover_item(until_ms: int) -> dict[str, dict[str, Any]]:
    """The item that `load-state --until` leaves, as DynamoDB attribute values; it has no ttl.

    The stream passes over events with a time, and labels with a label time, up to `until_ms`: the loaded
    states hold them. It is written when all states are, so that a load that breaks off loses nothing.
    """
    return {"pk": {"S": CUTOVER_KEY}, "v": {"N": str(until_ms)}, "w": {"B": b""}, "s": {"B": b""}}


def read_cutover(stored: Stored | None) -> int | None:
    """`until_ms` of the cut-over mark as it was read, or None if there is none."""
    return stored.v if stored else None


def shard_number(shard_id: str) -> int:
    """A number for a shard: Kinesis's own, or 63 bits of hash for an id of another form.

    >>> shard_number("shardId-000000000006")
    6
    """
    if match := _SHARD_ID.fullmatch(shard_id):
        return int(match[1])
    digest = hashlib.blake2b(shard_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) | 1 << 63


NO_SHARD = -1
"""For whoever reads an item apart from any batch: every watermark is another shard's."""


def decode_item(stored: Stored, shard: int) -> Item:
    """The item as a batch of `shard` sees it. InvalidInputError for an unknown version or other bytes."""
    if not stored.v:
        return Item()
    try:
        memory, marks = _memory_decoder.decode(stored.s), _marks_decoder.decode(stored.w)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(
            f"state: an item is not readable ({error}); restore the table to a time before, or load it anew"
        ) from error
    if memory.version not in (STATE_VERSION, SPLIT_VERSION):
        raise InvalidInputError(
            f"state: version {memory.version}, this code reads {STATE_VERSION}; load the table anew"
        )
    item = Item(stored.v, ids=memory.ids, labels=memory.labels, blob=memory.blob)
    if memory.withdrawn:
        item.withdrawn_ms = _times(memory.withdrawn)
    for mark in marks:
        if mark.shard == shard:
            item.mark = int.from_bytes(mark.sequence), mark.sub_sequence
            item.arrival_ms = mark.arrival_s * 1000
    item.other_marks = tuple(mark for mark in marks if mark.shard != shard)
    if memory.repeats:
        item.repeats = frozenset(at for r in memory.repeats if r.shard == shard for at in _orders(r))
        item.other_repeats = tuple(r for r in memory.repeats if r.shard != shard)
    return item


def is_split(stored: Stored) -> bool:
    """Whether the item says that its entity's records go to sub-items; a look at one byte."""
    return stored.s[1:2] == _SPLIT


def as_split(s: bytes) -> bytes:
    """An item's `s`, but marked as split."""
    return _encoder.encode(msgspec.structs.replace(_memory_decoder.decode(s), version=SPLIT_VERSION))


def kernel_blob(s: bytes) -> bytes:
    """The kernel's part of an item's `s`; b"" of the cut-over mark's, which is empty."""
    return _memory_decoder.decode(s).blob if s else b""


def withdrawn_ms(s: bytes) -> tuple[int, ...]:
    """The event times of the positives that a sub-item takes back from its entity's other items."""
    return _times(_memory_decoder.decode(s).withdrawn)


def encode_item(item: Item, shard: int, now_ms: int, *, split: bool = False) -> tuple[bytes, bytes]:
    """(w, s) of an item. Other shards' watermarks are let go once older than stream retention and a day."""
    oldest_s = (now_ms - RETENTION_MS - _DAY_MS) // 1000
    marks = tuple(mark for mark in item.other_marks if mark.arrival_s >= oldest_s)
    repeats = item.other_repeats
    if repeats:
        alive = {mark.shard for mark in marks}
        repeats = tuple(r for r in repeats if r.shard in alive)
    if item.repeats:
        repeats += _repeats(shard, item.repeats)
    if item.mark != BEFORE_ALL:
        marks += (Mark(shard, _packed(item.mark[0]), item.mark[1], item.arrival_ms // 1000),)
    version = SPLIT_VERSION if split else STATE_VERSION
    memory = Memory(version, item.ids, item.labels, repeats, item.blob)
    if item.withdrawn_ms:
        times = b"".join(at.to_bytes(_TIME_BYTES) for at in item.withdrawn_ms)
        memory = SubMemory(version, item.ids, item.labels, repeats, item.blob, times)
    return _encoder.encode(marks), _encoder.encode(memory)


def _times(packed: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(packed[at : at + _TIME_BYTES]) for at in range(0, len(packed), _TIME_BYTES))


def _repeats(shard: int, orders: frozenset[Order]) -> tuple[Repeat, ...]:
    subs: dict[int, int] = {}
    for sequence, sub in sorted(orders):
        subs[sequence] = subs.get(sequence, 0) | 1 << sub
    return tuple(Repeat(shard, _packed(sequence), _packed(bits)) for sequence, bits in subs.items())


def _orders(repeat: Repeat) -> list[Order]:
    sequence, bits = int.from_bytes(repeat.sequence), int.from_bytes(repeat.subs)
    return [(sequence, sub) for sub in range(bits.bit_length()) if bits >> sub & 1]


def _packed(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)
