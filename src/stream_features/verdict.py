"""Which of its entities a delivered record still has to be applied to: the exactly-once rules, pure.

Delivery is at least once. Each item keeps its last applied position per shard (the watermark) and remembers
the ids of its newest arrivals. Above the primary's watermark an id it knows is a producer's duplicate and
dropped for every entity; at or below, the record is a replay, and each item answers by its own watermark. A
record put back by `redrive` has a new position: each item answers by its own ids. A sub-item (see sharing)
and its main item answer together: what either has, the entity has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from stream_features.events import Event, Label
from stream_features.state import Item, Order

REMEMBERED_IDS = 48
REMEMBERED_LABELS = 64
ID_BYTES = 6
LABEL_BYTES = 12
_ID_MASK = (1 << 8 * ID_BYTES) - 1
_LATEST_MS = (1 << 47) - 1  # the year 6429; files may hold such times, the stream's decoder lets none in


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

    def only(self, rows: Sequence[int]) -> "Delivery":
        """The records of `rows`, which ascend, of the same delivery."""
        records, orders = [self.records[n] for n in rows], [self.orders[n] for n in rows]
        return Delivery(self.shard, self.start, records, orders, [self.keys[n] for n in rows])

    def keys_by_entity(self) -> list[list[str]]:
        """For each entity the keys of its items, each once, as they first occur."""
        return [list(dict.fromkeys(column)) for column in zip(*self.keys, strict=True)]


@dataclass(frozen=True, slots=True)
class Settled:
    """A verdict a record; for each entity, whether its item takes the record, and what a label changes.

    A delta is +1 if a positive label becomes known, -1 if a correction takes one back, else 0. ``repeats``:
    where duplicates stand, by their primaries' keys.
    """

    verdicts: Sequence[Verdict]
    applies: Sequence[Sequence[bool]]
    deltas: Sequence[Sequence[int]]
    repeats: Mapping[str, Sequence[Order]]


def rows_after(delivery: Delivery, cutover_ms: int | None) -> list[int]:
    """The records that are later than the cut-over: an event by its time, a label by its own."""
    if cutover_ms is None:
        return list(range(len(delivery.records)))
    rows = enumerate(delivery.records)
    return [n for n, r in rows if (r.time_ms if isinstance(r, Event) else r.label_time_ms) > cutover_ms]


NO_REPEATS: Mapping[str, Sequence[Order]] = {}


def settle(
    delivery: Delivery, items: Mapping[str, Item], earlier: Mapping[str, Sequence[Order]] = NO_REPEATS
) -> Settled:
    """Judge every record in order and move the items' watermarks and ids along (blobs are the kernel's).

    `earlier` are duplicates before these records that will be delivered again if these are.
    """
    applies, deltas = _nowhere(delivery)
    entities = range(len(delivery.keys[0]))
    verdicts: list[Verdict] = []
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
        for j in entities:
            applies[j][n], deltas[j][n] = _apply(items[keys[j]], verdict, record, order)
    for key, n in last.items():
        _pass_over(items[key], delivery, n, (*earlier.get(key, ()), *repeats.get(key, ())))
    return Settled(verdicts, applies, deltas, repeats)


def settle_shared(delivery: Delivery, items: Mapping[str, Item], verdicts: Sequence[Verdict]) -> Settled:
    """Move only `items`, none a primary, along under verdicts that are durable already."""
    applies, deltas = _nowhere(delivery)
    rows = zip(delivery.records, delivery.orders, delivery.keys, verdicts, strict=True)
    for n, (record, order, keys, verdict) in enumerate(rows):
        if verdict is Verdict.DUPLICATE:
            continue
        for j, key in enumerate(keys):
            if j and key in items:
                applies[j][n], deltas[j][n] = _apply(items[key], verdict, record, order)
    return Settled(verdicts, applies, deltas, NO_REPEATS)


def packed_id(id_hash: int) -> bytes:
    """An entry of an item's `ids`: 48 bits of the hash.

    Two ids collide, and the later event is dropped as a duplicate, once in 4e12 events at 64 remembered.
    """
    return (id_hash & _ID_MASK).to_bytes(ID_BYTES)


def packed_label(id_hash: int, label_time_ms: int, label: bool) -> bytes:
    """An entry of an item's `labels`: the id's 48 bits, then its time × 2, plus 1 if true."""
    return packed_id(id_hash) + (2 * min(label_time_ms, _LATEST_MS) + label).to_bytes(LABEL_BYTES - ID_BYTES)


def _nowhere(delivery: Delivery) -> tuple[list[list[bool]], list[list[int]]]:
    """No record is applied to any entity, and no label changes anything."""
    rows, entities = len(delivery.records), len(delivery.keys[0])
    return [[False] * rows for _ in range(entities)], [[0] * rows for _ in range(entities)]


def _verdict(primary: Item, record: Event | Label, order: Order) -> Verdict:
    if record.redrive:
        return Verdict.REDRIVEN
    if order <= primary.mark:
        return Verdict.DUPLICATE if order in primary.repeats else Verdict.REPLAY
    return Verdict.DUPLICATE if _knows(primary, record) else Verdict.NEW


def _apply(item: Item, verdict: Verdict, record: Event | Label, order: Order) -> tuple[bool, int]:
    """Whether the item takes the record, and the change in known positives."""
    if order <= item.mark or (verdict is Verdict.REDRIVEN and _knows_somewhere(item, record)):
        return False, 0
    item.mark, item.arrival_ms, item.changed = order, record.arrival_ms, True
    if isinstance(record, Label):
        return True, _learn(item, record)
    item.ids = (item.ids + packed_id(record.id_hash))[-REMEMBERED_IDS * ID_BYTES :]
    return True, 0


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
    if isinstance(record, Event):
        return _find(item.ids, packed_id(record.id_hash), ID_BYTES) >= 0
    at = _find(item.labels, packed_id(record.id_hash), LABEL_BYTES)
    return at >= 0 and _time_and_label(item.labels, at)[0] >= record.label_time_ms


def _knows_somewhere(item: Item, record: Event | Label) -> bool:
    return _knows(item, record) or (item.main is not None and _knows(item.main, record))


def _learn(item: Item, label: Label) -> int:
    """Remember a label unless it is known with this or a later `label_time`; the change in positives."""
    key = packed_id(label.id_hash)
    at = _find(item.labels, key, LABEL_BYTES)
    known_ms, was = _time_and_label(item.labels, at) if at >= 0 else _told_main(item, key)
    if known_ms is not None and label.label_time_ms <= known_ms:
        return 0
    others = item.labels if at < 0 else item.labels[:at] + item.labels[at + LABEL_BYTES :]
    entry = packed_label(label.id_hash, label.label_time_ms, label.label)
    item.labels = _newest_labels(others + entry, item.main)
    return label.label - was


def _told_main(sub: Item, key: bytes) -> tuple[int | None, bool]:
    """What the main item of a sub-item knows of a label; (None, False) for nothing, or without one."""
    at = _find(sub.main.labels, key, LABEL_BYTES) if sub.main else -1
    return _time_and_label(sub.main.labels, at) if sub.main and at >= 0 else (None, False)


def _newest_labels(labels: bytes, main: Item | None) -> bytes:
    """The newest of them, and older ones that correct what the main item knows, for that is not forgotten."""
    older, newest = labels[: -REMEMBERED_LABELS * LABEL_BYTES], labels[-REMEMBERED_LABELS * LABEL_BYTES :]
    if not older or main is None:
        return newest
    entries = [older[at : at + LABEL_BYTES] for at in range(0, len(older), LABEL_BYTES)]
    kept = [one for one in entries if _find(main.labels, one[:ID_BYTES], LABEL_BYTES) >= 0]
    return b"".join([*kept, newest])


def _time_and_label(labels: bytes, at: int) -> tuple[int, bool]:
    mark = int.from_bytes(labels[at + ID_BYTES : at + LABEL_BYTES])
    return mark >> 1, bool(mark & 1)


def _find(packed: bytes, key: bytes, width: int) -> int:
    """Where `key` begins an entry of `packed`, or -1; a search of bytes, much quicker than unpacking them."""
    at = packed.find(key)
    while at >= 0 and at % width:
        at = packed.find(key, at + 1)
    return at
