"""One fold of one delivery over the items that were read: from stored bytes to the writes that follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from stream_features.kernel import Columns, Group, fold
from stream_features.layout import Layout, layouts
from stream_features.merging import merged
from stream_features.outbox import out_of
from stream_features.sharing import (
    SHARING,
    TOUCHED_FOR_MS,
    LabelChange,
    Placing,
    Sharing,
    has_too_many,
    pieces,
    placing,
    split_keys,
    sub_keys,
    withhold,
)
from stream_features.spec import Spec
from stream_features.spec_model import retention_ms
from stream_features.state import (
    ABSENT,
    Item,
    Order,
    Stored,
    encode_item,
    encode_out,
)
from stream_features.verdict import NO_REPEATS, Delivery, Settled, settle, settle_shared

MOST_ITEM_BYTES = 390 * 1024
_ITEM_FRAME_BYTES = 32  # attribute names and the two numbers
_TTL_MARGIN_MS = 7 * 86_400_000


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
    """A delivery, or a stretch of one, made ready to be folded as often as conflicts ask for.

    `earlier` are duplicates in the delivery's earlier stretches, by their primaries' keys.
    """

    def __init__(
        self,
        spec: Spec,
        delivery: Delivery,
        now_ms: int,
        sharing: Sharing = SHARING,
        earlier: Mapping[str, Sequence[Order]] = NO_REPEATS,
    ) -> None:
        self.spec = spec
        self.delivery = delivery
        self.now_ms = now_ms
        self.sharing = sharing
        self.earlier = earlier
        self.newest_arrival_ms = max(record.arrival_ms for record in delivery.records)
        self.ttls_s = [ttl_s(spec, entity, self.newest_arrival_ms) for entity in range(len(spec.entities))]
        self.columns = Columns.from_records(spec, delivery.records)
        self.whole = Placing(delivery, {})

    @property
    def primaries(self) -> Sequence[str]:
        """Keys of the primary entity's items."""
        return self.whole.keys[0]

    @cached_property
    def shared(self) -> Sequence[str]:
        """Keys of all other items, of main items only where there are sub-items."""
        return [key for keys in self.whole.keys[1:] for key in keys]

    def placing(self, stored: Mapping[str, Stored]) -> Placing:
        """Where the records go, as far as main items are `stored`."""
        split = split_keys(stored, self.shared)
        return placing(self.delivery, split, self.sharing) if split else self.whole

    def first_with(self, keys: set[str]) -> int | None:
        """Index of the first record one of whose items (main ones) is in `keys`, or None."""
        if not keys:
            return None
        return next((n for n, own in enumerate(self.delivery.keys) if not keys.isdisjoint(own)), None)

    def fold(self, found: Mapping[str, Stored]) -> "Turn":
        """Fold every record into every entity it still has to reach, and read every feature.

        Of a split item, `found` has all sub-items; features see their union.
        """
        place = self.placing(found)
        stored = {key: found.get(key, ABSENT) for keys in (*self.whole.keys, *place.keys) for key in keys}
        items = place.items(stored)
        settled = settle(place.delivery, items, self.earlier)
        blobs = [
            self._blobs(layout, keys, items, found)
            for layout, keys in zip(layouts(self.spec), self.whole.keys, strict=True)
        ]
        features, after = self._folded(self.whole, blobs, settled, emit=True)
        _put(items, self.whole.keys, after)
        alone = {key: item for key, item in items.items() if item.main is None} if place.mains else items
        return Turn(self, place, stored, alone, settled, features)

    def fold_shared(self, before: "Turn", stored: Mapping[str, Stored], end: int | None) -> "Turn":
        """Fold the records before `end` into `stored`, shared items all, under an earlier turn's verdicts.

        A sub-item is stored beside its main item.
        """
        place = self.placing(stored)
        count = len(self.delivery.records) if end is None else end
        items = place.items(stored)
        verdicts = before.settled.verdicts[:count]
        settled = settle_shared(place.delivery.part(0, count), items, verdicts)
        if place.mains:
            settled = self._withhold(place, items, settled)
        blobs = [[items[key].blob if key in items else b"" for key in keys] for keys in place.keys]
        features, after = self._folded(place, blobs, settled, emit=False)
        _put(items, place.keys, after)
        return Turn(self, place, stored, items, settled, features)

    def _blobs(
        self, layout: Layout, keys: Sequence[str], items: Mapping[str, Item], found: Mapping[str, Stored]
    ) -> list[bytes]:
        """The states that the features of an entity's records see."""
        split = [key for key in keys if key not in items]
        parts = [
            pieces(found[one] for one in (key, *sub_keys(key, self.sharing)) if one in found) for key in split
        ]
        united = dict(zip(split, merged(layout, parts), strict=True))
        return [united[key] if key in united else items[key].blob for key in keys]

    def _withhold(self, place: Placing, items: Mapping[str, Item], settled: Settled) -> Settled:
        """Without the changes in positives that go beside a sub-item's state, not into it."""
        keys, records, changed = place.delivery.keys, place.delivery.records, []
        for entity, layout in enumerate(layouts(self.spec)):
            deltas = list(settled.deltas[entity])
            rows = [n for n, delta in enumerate(deltas) if delta] if layout.has_labels else []
            changes = [LabelChange(n, keys[n][entity], records[n].time_ms, deltas[n]) for n in rows]
            for n in withhold(layout, items, changes):
                deltas[n] = 0
            changed.append(deltas)
        return replace(settled, deltas=changed)

    def _folded(
        self, place: Placing, blobs: Sequence[Sequence[bytes]], settled: Settled, *, emit: bool
    ) -> tuple[np.ndarray, list[list[bytes]]]:
        rows = len(self.delivery.records)
        groups = []
        for codes, states, applies, changes in zip(
            place.codes, blobs, settled.applies, settled.deltas, strict=True
        ):
            apply, deltas = np.zeros(rows, bool), np.zeros(rows, np.int8)
            apply[: len(applies)], deltas[: len(changes)] = applies, changes
            groups.append(Group(codes, states, apply, deltas))
        folded = fold(self.spec, self.columns, groups, emit=emit)
        return np.ascontiguousarray(folded.features, dtype="<f4"), folded.blobs


def _put(items: Mapping[str, Item], keys: Sequence[Sequence[str]], blobs: Sequence[Sequence[bytes]]) -> None:
    """Give the items their states; those of split entities, which are in no item, go."""
    for own, states in zip(keys, blobs, strict=True):
        for key, blob in zip(own, states, strict=True):
            if key in items:
                items[key].blob = blob


@dataclass(frozen=True, slots=True)
class Turn:
    """The outcome of a fold: items as they would be, verdicts, and a float32 feature vector a record."""

    part: Part
    place: Placing
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
        """Writes of the changed items that are no primaries; a sub-item is folded by `fold_shared` only."""
        return [
            self._write(key, entity)
            for entity, keys in enumerate(self.place.keys[1:], 1)
            for key in keys
            if key in self.items and self.items[key].changed
        ]

    def touches(self) -> list[Write]:
        """Writes of main items that nobody has touched for a day: as they are, to outlive their sub-items."""
        mains = self.place.mains
        split = {mains[key] for key in self.items if key in mains} if mains else ()
        found = []
        for entity, keys in enumerate(self.part.whole.keys[1:] if split else (), 1):
            for key, old in ((key, self.stored[key]) for key in keys if key in split):
                if self.part.now_ms - old.v >= TOUCHED_FOR_MS:
                    touch = Write(key, old.v, 0, old.w, old.s, 0)
                    found.append(long_lived(self.part.spec, entity, touch, self.part.now_ms))
        return found

    def _write(self, key: str, entity: int) -> Write:
        item, part = self.items[key], self.part
        split = entity > 0 and item.main is None and has_too_many(item, part.sharing)
        w, s = encode_item(item, part.delivery.shard, part.newest_arrival_ms, split=split)
        v = item.v + 1 if item.v else part.now_ms
        write = Write(key, item.v, v, w, s, part.ttls_s[entity])
        return long_lived(part.spec, entity, write, part.now_ms) if split else write

    def _with_out(self, write: Write, numbers: Sequence[int]) -> Write:
        out = out_of(self.part.spec, self.part.delivery.records, self.features, numbers)
        arrivals = [row.arrival_ms for row in out.rows]
        return write._replace(out=encode_out(out), arrivals_ms=arrivals, labels=len(out.labels))


def long_lived(spec: Spec, entity: int, write: Write, now_ms: int) -> Write:
    """A write of a split item, so that it outlives all sub-items that are written before the next touch."""
    expires_s = ttl_s(spec, entity, now_ms + 2 * TOUCHED_FOR_MS)
    return write._replace(v=max(write.read_v + 1, now_ms), ttl_s=expires_s)


def ttl_s(spec: Spec, entity: int, arrival_ms: int) -> int:
    """When an item may go, epoch seconds: by the arrival clock, so that old events are not born expired."""
    return (arrival_ms + retention_ms(spec, spec.entities[entity].name) + _TTL_MARGIN_MS) // 1000
