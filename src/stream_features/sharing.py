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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stream_features.merging import Pieces
from stream_features.state import Item, Stored, is_split, kernel_blob, withdrawn_ms
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


def placed(delivery: Delivery, split: frozenset[str], sharing: Sharing) -> Delivery:
    """The delivery with, in place of the key of a split item, that of the sub-item which takes the record."""
    if not split:
        return delivery
    keys = []
    for record, own in zip(delivery.records, delivery.keys, strict=True):
        if split.isdisjoint(own):
            keys.append(own)
            continue
        number = sub_number(record.entities[0], sharing)
        keys.append([f"{number}/{key}" if key in split else key for key in own])
    return Delivery(delivery.shard, delivery.start, delivery.records, delivery.orders, keys)


def with_main(sub: Item, main: Item) -> Item:
    """A sub-item that knows its main item, and has no record to take that this one has taken."""
    sub.main = main
    if main.mark > sub.mark:
        sub.mark, sub.arrival_ms = main.mark, main.arrival_ms
    return sub


def pieces(items: Iterable[Stored]) -> Pieces:
    """What a split entity's items hold for the kernel: main item first, then its sub-items in order."""
    held = [item.s for item in items]
    return Pieces([kernel_blob(s) for s in held], [at for s in held for at in withdrawn_ms(s)])
