"""One fold of one delivery over the items that were read: from stored bytes to the writes that follow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from stream_features.events import Event, Label
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec
from stream_features.spec_model import retention_ms
from stream_features.state import (
    ABSENT,
    OUT_VERSION,
    Item,
    LabelRow,
    Out,
    Row,
    Stored,
    decode_item,
    encode_item,
    encode_out,
    packed_size,
)
from stream_features.verdict import Delivery, Settled, settle, settle_shared

OUT_BUDGET_BYTES = 256 * 1024  # of an item's 400 KB; the rest is for its state
MOST_ITEM_BYTES = 390 * 1024
_ITEM_FRAME_BYTES = 32  # attribute names and the two numbers
_TTL_MARGIN_MS = 7 * 86_400_000
_ROW_FRAME_BYTES = 48


class Write(NamedTuple):
    """One conditional write: the item is replaced if its version still is `read_v` (0: if there is none).

    `arrivals_ms` (of the events) and `labels` say what `out` carries.
    """

    pk: str
    read_v: int
    v: int
    w: bytes
    s: bytes
    ttl_s: int
    out: bytes | None = None
    arrivals_ms: Sequence[int] = ()
    labels: int = 0

    @property
    def size(self) -> int:
        """About the bytes DynamoDB counts for the item."""
        return len(self.pk) + len(self.w) + len(self.s) + len(self.out or b"") + _ITEM_FRAME_BYTES


class Part:
    """A delivery, or a stretch of one, made ready to be folded as often as conflicts ask for."""

    def __init__(self, spec: Spec, delivery: Delivery, now_ms: int) -> None:
        self.spec = spec
        self.delivery = delivery
        self.now_ms = now_ms
        self.newest_arrival_ms = max(record.arrival_ms for record in delivery.records)
        self.ttls_s = [ttl_s(spec, entity, self.newest_arrival_ms) for entity in range(len(spec.entities))]
        self.columns = Columns.from_records(spec, delivery.records)
        self.keys = delivery.keys_by_entity()
        columns = zip(*delivery.keys, strict=True)
        self.codes = [_codes(column, keys) for column, keys in zip(columns, self.keys, strict=True)]

    @property
    def primaries(self) -> Sequence[str]:
        """Keys of the primary entity's items."""
        return self.keys[0]

    @cached_property
    def shared(self) -> Sequence[str]:
        """Keys of all other items."""
        return [key for keys in self.keys[1:] for key in keys]

    def first_with(self, keys: set[str]) -> int | None:
        """Index of the first record one of whose items is in `keys`, or None."""
        if not keys:
            return None
        return next((n for n, own in enumerate(self.delivery.keys) if not keys.isdisjoint(own)), None)

    def fold(self, found: Mapping[str, Stored]) -> "Turn":
        """Fold every record into every item it still has to reach, and read every feature."""
        stored = {key: found.get(key, ABSENT) for keys in self.keys for key in keys}
        items = self._items(stored)
        return self._turn(stored, items, settle(self.delivery, items), emit=True)

    def fold_shared(self, before: "Turn", stored: Mapping[str, Stored], end: int | None) -> "Turn":
        """Fold the records before `end` into `stored`, shared items all, under an earlier turn's verdicts."""
        count = len(self.delivery.records) if end is None else end
        items = self._items(stored)
        settled = settle_shared(self.delivery.part(0, count), items, before.settled.verdicts[:count])
        return self._turn(stored, items, settled, emit=False)

    def _items(self, stored: Mapping[str, Stored]) -> dict[str, Item]:
        return {key: decode_item(item, self.delivery.shard) for key, item in stored.items()}

    def _turn(
        self, stored: Mapping[str, Stored], items: dict[str, Item], settled: Settled, *, emit: bool
    ) -> "Turn":
        rows = len(self.delivery.records)
        nothing = Item()
        groups = []
        settled_rows = zip(self.keys, self.codes, settled.applies, settled.deltas, strict=True)
        for keys, codes, applies, changes in settled_rows:
            apply, deltas = np.zeros(rows, bool), np.zeros(rows, np.int8)
            apply[: len(applies)], deltas[: len(changes)] = applies, changes
            groups.append(Group(codes, [items.get(key, nothing).blob for key in keys], apply, deltas))
        folded = fold(self.spec, self.columns, groups, emit=emit)
        for keys, blobs in zip(self.keys, folded.blobs, strict=True):
            for key, blob in zip(keys, blobs, strict=True):
                if key in items:
                    items[key].blob = blob
        return Turn(self, stored, items, settled, np.ascontiguousarray(folded.features, dtype="<f4"))


@dataclass(frozen=True, slots=True)
class Turn:
    """The outcome of a fold: items as they would be, verdicts, and a float32 feature vector a record."""

    part: Part
    stored: Mapping[str, Stored]
    items: Mapping[str, Item]
    settled: Settled
    features: np.ndarray

    def primary_writes(self) -> list[Write]:
        """Writes of the changed primaries, each with the rows of the records it newly holds."""
        rows: dict[str, list[int]] = {}
        for n, applied in enumerate(self.settled.applies[0]):
            if applied:
                rows.setdefault(self.part.delivery.keys[n][0], []).append(n)
        return [self._with_out(self._write(key, 0), numbers) for key, numbers in rows.items()]

    def shared_writes(self) -> list[Write]:
        """Writes of the changed items that are no primaries."""
        return [
            self._write(key, entity)
            for entity, keys in enumerate(self.part.keys[1:], 1)
            for key in keys
            if key in self.items and self.items[key].changed
        ]

    def _write(self, key: str, entity: int) -> Write:
        item, part = self.items[key], self.part
        w, s = encode_item(item, part.delivery.shard, part.newest_arrival_ms)
        v = item.v + 1 if item.v else part.now_ms
        return Write(key, item.v, v, w, s, part.ttls_s[entity])

    def _with_out(self, write: Write, numbers: Sequence[int]) -> Write:
        width = self.features.shape[1] * 4
        vectors = memoryview(self.features).cast("B")
        rows, labels, arrivals = [], [], []
        for n in numbers:
            record = self.part.delivery.records[n]
            if isinstance(record, Label):
                labels.append(_label_row(record))
            else:
                rows.append(_row(record, bytes(vectors[n * width : (n + 1) * width])))
                arrivals.append(record.arrival_ms)
        out = encode_out(Out(OUT_VERSION, self.part.spec.sha256, tuple(rows), tuple(labels)))
        return write._replace(out=out, arrivals_ms=arrivals, labels=len(labels))


def ttl_s(spec: Spec, entity: int, arrival_ms: int) -> int:
    """When an item may go, epoch seconds: by the arrival clock, so that old events are not born expired."""
    return (arrival_ms + retention_ms(spec, spec.entities[entity].name) + _TTL_MARGIN_MS) // 1000


def flushes(spec: Spec, delivery: Delivery) -> Iterator[tuple[int, int]]:
    """Stretches (first, end) of the delivery in which no item's rows outgrow OUT_BUDGET_BYTES, in order."""
    first = 0
    sizes: dict[str, int] = {}
    for n, (record, keys) in enumerate(zip(delivery.records, delivery.keys, strict=True)):
        size = sizes.get(keys[0], 0) + row_bytes(spec, record)
        if size > OUT_BUDGET_BYTES and n > first:
            yield first, n
            first, sizes, size = n, {}, row_bytes(spec, record)
        sizes[keys[0]] = size
    if first < len(delivery.records):
        yield first, len(delivery.records)


def row_bytes(spec: Spec, record: Event | Label) -> int:
    """At most how many bytes a record adds to `out`."""
    own: tuple[object, ...] = (record.id, record.entities)
    if isinstance(record, Event):
        own += (record.trace, record.kept)
    return packed_size(own) + 4 * len(spec.features) + _ROW_FRAME_BYTES


def _row(event: Event, vector: bytes) -> Row:
    return Row(event.id, event.time_ms, event.arrival_ms, event.trace, event.entities, event.kept, vector)


def _label_row(label: Label) -> LabelRow:
    return LabelRow(
        label.id, label.label, label.label_time_ms, label.time_ms, label.entities, label.arrival_ms
    )


def _codes(column: Sequence[str], keys: Sequence[str]) -> np.ndarray:
    place = {key: code for code, key in enumerate(keys)}
    return np.fromiter((place[key] for key in column), np.int32, len(column))
