"""Which of its entities a delivered record still has to be applied to: the exactly-once rules, pure.

Delivery is at least once. Each item keeps its last applied position per shard (the watermark) and remembers
the ids of its newest arrivals. Above the primary's watermark an id it knows is a producer's duplicate and
dropped for every entity; at or below, the record is a replay, and each item answers by its own watermark. A
record put back by `redrive` has a new position: each item answers by its own ids.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from stream_features.events import Event, Label
from stream_features.state import Item, Order

REMEMBERED_IDS = 64
REMEMBERED_LABELS = 64
_ID_BYTES = 8
_LABEL_BYTES = 16


class Verdict(Enum):
    """What the primary item says of a record."""

    NEW = "new"
    DUPLICATE = "duplicate"
    REPLAY = "replay"
    REDRIVEN = "redriven"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Records of one shard in order; `keys` are their items', primary first.

    `start` is the first position Lambda delivered: what lies before it will not be delivered again.
    """

    shard: int
    start: Order
    records: Sequence[Event | Label]
    orders: Sequence[Order]
    keys: Sequence[Sequence[str]]

    def part(self, first: int, end: int) -> "Delivery":
        """Records `first` to `end` (exclusive) of the same delivery."""
        records, orders, keys = self.records[first:end], self.orders[first:end], self.keys[first:end]
        return Delivery(self.shard, self.start, records, orders, keys)


@dataclass(frozen=True, slots=True)
class Settled:
    """A verdict a record, and for each entity whether the record is applied to its item."""

    verdicts: Sequence[Verdict]
    applies: Sequence[Sequence[bool]]


def settle(delivery: Delivery, items: Mapping[str, Item]) -> Settled:
    """Judge every record in order and move the items' watermarks and ids along (blobs are the kernel's)."""
    entities = len(delivery.keys[0])
    applies = [[False] * len(delivery.records) for _ in range(entities)]
    verdicts = []
    repeats: dict[str, list[Order]] = {}
    last: dict[str, int] = {}
    for n, (record, order, keys) in enumerate(
        zip(delivery.records, delivery.orders, delivery.keys, strict=True)
    ):
        primary = items[keys[0]]
        last[keys[0]] = n
        verdict = _verdict(primary, record, order)
        verdicts.append(verdict)
        if verdict is Verdict.DUPLICATE:
            repeats.setdefault(keys[0], []).append(order)
            continue
        for j in range(entities):
            applies[j][n] = _apply(items[keys[j]], verdict, record, order)
    for key, n in last.items():
        _pass_over(items[key], delivery, n, repeats.get(key, ()))
    return Settled(verdicts, applies)


def settle_shared(delivery: Delivery, items: Mapping[str, Item], verdicts: Sequence[Verdict]) -> Settled:
    """Move only `items`, none a primary, along under verdicts that are durable already."""
    applies = [[False] * len(delivery.records) for _ in delivery.keys[0]]
    rows = zip(delivery.records, delivery.orders, delivery.keys, verdicts, strict=True)
    for n, (record, order, keys, verdict) in enumerate(rows):
        if verdict is Verdict.DUPLICATE:
            continue
        for j, key in enumerate(keys):
            if j and key in items:
                applies[j][n] = _apply(items[key], verdict, record, order)
    return Settled(verdicts, applies)


def packed_id(id_hash: int) -> bytes:
    """An entry of an item's `ids`."""
    return id_hash.to_bytes(_ID_BYTES)


def packed_label(id_hash: int, label_time_ms: int) -> bytes:
    """An entry of an item's `labels`."""
    return packed_id(id_hash) + label_time_ms.to_bytes(8, signed=True)


def _verdict(primary: Item, record: Event | Label, order: Order) -> Verdict:
    if record.redrive:
        return Verdict.REDRIVEN
    if order <= primary.mark:
        return Verdict.DUPLICATE if order in primary.repeats else Verdict.REPLAY
    return Verdict.DUPLICATE if _knows(primary, record) else Verdict.NEW


def _apply(item: Item, verdict: Verdict, record: Event | Label, order: Order) -> bool:
    if order <= item.mark or (verdict is Verdict.REDRIVEN and _knows(item, record)):
        return False
    item.mark, item.arrival_ms, item.changed = order, record.arrival_ms, True
    _remember(item, record)
    return True


def _pass_over(primary: Item, delivery: Delivery, last: int, repeats: Sequence[Order]) -> None:
    """A primary that is written anyway also passes the duplicates among its records, and notes where."""
    if not primary.changed:
        return
    if delivery.orders[last] > primary.mark:
        primary.mark, primary.arrival_ms = delivery.orders[last], delivery.records[last].arrival_ms
    if repeats or primary.repeats:
        primary.repeats = frozenset(at for at in (*primary.repeats, *repeats) if at >= delivery.start)


def _knows(item: Item, record: Event | Label) -> bool:
    """Whether the item remembers this record; a later `label_time` makes a label a correction, not known."""
    key = packed_id(record.id_hash)
    if isinstance(record, Event):
        return _find(item.ids, key, _ID_BYTES) >= 0
    at = _find(item.labels, key, _LABEL_BYTES)
    return at >= 0 and _label_time(item.labels, at) >= record.label_time_ms


def _remember(item: Item, record: Event | Label) -> None:
    key = packed_id(record.id_hash)
    if isinstance(record, Event):
        item.ids = (item.ids + key)[-REMEMBERED_IDS * _ID_BYTES :]
        return
    at = _find(item.labels, key, _LABEL_BYTES)
    others = item.labels if at < 0 else item.labels[:at] + item.labels[at + _LABEL_BYTES :]
    entry = packed_label(record.id_hash, record.label_time_ms)
    item.labels = (others + entry)[-REMEMBERED_LABELS * _LABEL_BYTES :]


def _label_time(labels: bytes, at: int) -> int:
    return int.from_bytes(labels[at + _ID_BYTES : at + _LABEL_BYTES], signed=True)


def _find(packed: bytes, key: bytes, width: int) -> int:
    """Where `key` begins an entry of `packed`, or -1; a search of bytes, much quicker than unpacking them."""
    at = packed.find(key)
    while at >= 0 and at % width:
        at = packed.find(key, at + 1)
    return at
