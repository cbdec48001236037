"""Shared entities that too many shards write at once for one item: the sub-items in its place, pure.

The writer that finds more than LIVE_SHARDS live shards in an item marks it as split, in the write that holds
its own records. From then on the item is never folded into again. Each record goes to the sub-item whose
number its primary entity's id has, by the ranges of Kinesis's own hash of partition keys. So a shard's
records lie in one sub-item, or a few, whatever shards are split or merged; and all records of one event, its
labels, corrections and repeats too, meet in one sub-item. It and the main item answer for a record together.

A main item is split as long as it lives. It lives as long as its sub-items, for a writer that finds it
untouched for a day writes it anew, unchanged, with a later ttl, before it writes any sub-item. Its version
says when that was: for a split item it is never less than epoch milliseconds of its last write.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from stream_features.any_order import History
from stream_features.columns import numbered
from stream_features.layout import Layout
from stream_features.merging import Pieces, merged
from stream_features.state import Item, Stored, decode_item, is_split, kernel_blob, withdrawn_ms
from stream_features.tiles import oldest_kept_ms
from stream_features.verdict import Delivery

LIVE_S = 2
"""A shard is live in an item if its watermark's record arrived within so many seconds of the newest one.

Longer, and items that every shard reaches now and then, with no conflicts to speak of, would be split too,
and each of their reads be of 17 items.
"""
TOUCHED_FOR_MS = 86_400_000
_DIGEST_BITS = 128


@dataclass(frozen=True, slots=True)
class Sharing:
    """Above how many live shards an item is split, and into how many."""

    live_shards: int = 16
    sub_items: int = 16


SHARING = Sharing()
"""Of every table: which sub-item holds a record follows from it, so it cannot be changed."""


def sub_keys(key: str, sharing: Sharing = SHARING) -> list[str]:
    """The keys of an entity's sub-items. The name of no entity holds a `/`."""
    return [f"{number}/{key}" for number in range(sharing.sub_items)]


def is_sub_key(pk: str) -> bool:
    """Whether a `pk` of the state table is a sub-item's."""
    return "/" in pk.partition("#")[0]


def main_key(pk: str) -> str:
    """The `pk` of the main item of a sub-item's; of any other item its own."""
    return pk.partition("/")[2] if is_sub_key(pk) else pk


def sub_number(primary: str, sharing: Sharing = SHARING) -> int:
    """Which sub-item takes the records of a primary entity's id: by ranges of MD5, as shards are cut."""
    digest = hashlib.md5(primary.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest) * sharing.sub_items >> _DIGEST_BITS


def split_keys(stored: Mapping[str, Stored], keys: Iterable[str]) -> frozenset[str]:
    """Those of `keys` whose items are split."""
    return frozenset(key for key in keys if key in stored and is_split(stored[key]))


def has_too_many(item: Item, sharing: Sharing) -> bool:
    """Whether more shards than may share one item are live in it, which the writer has just moved along."""
    if len(item.other_marks) < sharing.live_shards:
        return False
    arrivals_s = [item.arrival_ms // 1000, *(mark.arrival_s for mark in item.other_marks)]
    since_s = max(arrivals_s) - LIVE_S
    return sum(at >= since_s for at in arrivals_s) > sharing.live_shards


class Placing:
    """A delivery whose `keys` are those of the items that take its records, some of them sub-items.

    ``keys`` are each entity's, as they first occur; ``codes`` say, an entity, which of them each record has;
    ``mains`` has the main item's key of each sub-item's.
    """

    def __init__(self, delivery: Delivery, mains: Mapping[str, str]) -> None:
        self.delivery, self.mains = delivery, mains
        found = [numbered(column) for column in zip(*delivery.keys, strict=True)]
        self.keys, self.codes = [keys for keys, _ in found], [codes for _, codes in found]

    def main(self, key: str) -> str:
        """The main item's key of any item's."""
        return self.mains.get(key, key)

    def items(self, stored: Mapping[str, Stored]) -> dict[str, Item]:
        """Those of the items that are stored, or known to be absent, as the delivery's shard sees them."""
        items = {}
        for key in (key for keys in self.keys for key in keys if key in stored):
            item = items[key] = decode_item(stored[key], self.delivery.shard)
            if key in self.mains:
                _know_main(item, decode_item(stored[self.mains[key]], self.delivery.shard))
        return items


def placing(delivery: Delivery, split: frozenset[str], sharing: Sharing) -> Placing:
    """Where the records go if the items of these keys are split."""
    keys, mains = [], {}
    for record, own in zip(delivery.records, delivery.keys, strict=True):
        if split.isdisjoint(own):
            keys.append(own)
            continue
        number = sub_number(record.entities[0], sharing)
        keys.append([f"{number}/{key}" if key in split else key for key in own])
        mains.update({sub: key for sub, key in zip(keys[-1], own, strict=True) if sub != key})
    return Placing(replace(delivery, keys=keys), mains)


def _know_main(sub: Item, main: Item) -> None:
    """The sub-item has no record to take that its main item has taken."""
    sub.main = main
    if main.mark > sub.mark:
        sub.mark, sub.arrival_ms = main.mark, main.arrival_ms


def withhold(layout: Layout, items: Mapping[str, Item], rows: Sequence["LabelChange"]) -> list[int]:
    """The rows that take back a positive which its sub-item does not hold; they are noted there instead.

    `rows` are an entity's label rows in order. What is noted is taken from the union of all items.
    """
    held: dict[str, Counter[int]] = {}
    withheld = []
    for row, key, time_ms, delta in rows:
        item = items[key]
        if item.main is None or not delta:
            continue
        if key not in held:
            history = History.from_blob(layout, item.blob)
            held[key] = Counter(history.positives)
            oldest_ms = oldest_kept_ms(max(history.newest_ms, 0), layout.horizon_ms)
            item.withdrawn_ms = tuple(at for at in item.withdrawn_ms if at >= oldest_ms)
        if delta < 0 and not held[key][time_ms]:
            withheld.append(row)
            item.withdrawn_ms += (time_ms,)
        else:
            held[key][time_ms] += delta
    return withheld


class LabelChange(NamedTuple):
    """A label's row in the delivery, its item, its event's time and the change in positives."""

    row: int
    key: str
    time_ms: int
    delta: int


def united(layout: Layout, items: Sequence[Stored]) -> bytes:
    """The kernel's state of an entity: of its item, or of its main item and the sub-items after it."""
    [blob] = merged(layout, [pieces(items)]) if len(items) > 1 else [kernel_blob(items[0].s)]
    return blob


def pieces(items: Iterable[Stored]) -> Pieces:
    """What a split entity's items hold for the kernel: main item first, then its sub-items in order."""
    held = [item.s for item in items]
    return Pieces([kernel_blob(s) for s in held], [at for s in held for at in withdrawn_ms(s)])
