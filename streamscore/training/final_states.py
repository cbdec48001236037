"""What every entity's item holds when a file's events and labels have all arrived."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stream_features.columns import Ints
from stream_features.events import event_hashes, label_hashes
from stream_features.spec_model import Spec
from stream_features.state import Item, encode_item, item_key
from stream_features.verdict import (
    ID_BYTES,
    LABEL_BYTES,
    REMEMBERED_IDS,
    REMEMBERED_LABELS,
    packed_id,
    packed_label,
)
from streamscore.training.backfill import Advance, replayed, told
from streamscore.training.ordering import CHUNK_ROWS, in_time_order
from streamscore.training.replay import Chunk, Codes, Replay

Entries = NDArray[np.void]


@dataclass(frozen=True)
class FinalStates:
    """The states of all entities, with the ids and labels that their items remember."""

    replay: Replay
    ids: tuple["Newest", ...]
    labels: tuple["Newest", ...]

    @property
    def items(self) -> int:
        """How many items there are."""
        return sum(map(len, self.replay.values))

    def of(self, entity: int) -> Iterator[tuple[str, bytes]]:
        """(pk, `s`) of every item of an entity."""
        name, values = self.replay.spec.entities[entity].name, self.replay.values[entity]
        remembered = zip(
            self.ids[entity].each(len(values)), self.labels[entity].each(len(values)), strict=True
        )
        states = zip(values.names(), self.replay.blobs[entity], remembered, strict=True)
        for value, blob, (ids, labels) in states:
            yield item_key(name, value), encode_item(Item(ids=ids, labels=labels, blob=blob), 0, 0)[1]


def final_states(  # noqa: PLR0913 - each by its name
    spec: Spec,
    path: Path,
    until_ms: int | None = None,
    *,
    key: bytes | None = None,
    rows: int = CHUNK_ROWS,
    advance: Advance = lambda events: None,
) -> FinalStates:
    """Fold the events of `path` that have arrived until then, and their labels, as `backfill` does.

    Memory holds about `rows` rows, and each entity's item. InvalidInputError if the file cannot be used.
    """

    def collect(chunks: Iterator[pl.DataFrame]) -> FinalStates:
        replay = Replay(spec, until_ms, key=key, emit=False)
        ids = tuple(Newest(REMEMBERED_IDS, ID_BYTES) for _ in spec.entities)
        labels = tuple(Newest(REMEMBERED_LABELS, LABEL_BYTES) for _ in spec.entities)
        for chunk in told(replayed(replay, chunks), advance):
            _remember(ids, np.arange(chunk.rows.height), chunk.codes, partial(_id_entries, spec, chunk))
            known = _known(spec, chunk, until_ms)
            _remember(labels, known, chunk.codes, partial(_label_entries, spec, chunk))
        replay.finish()
        return FinalStates(replay, ids, labels)

    return in_time_order(path, spec, collect, rows)


class Newest:
    """The last `most` entries, of `width` bytes, of each number."""

    def __init__(self, most: int, width: int) -> None:
        self.most = most
        self._codes, self._entries = np.empty(0, np.int32), np.empty(0, f"V{width}")
        self._waiting: list[tuple[Codes, Entries]] = []
        self._settled = 0

    def add(self, codes: Codes, entries: Entries) -> None:
        """Entries newer than all before."""
        self._waiting.append((codes, entries))
        if sum(len(some) for some, _ in self._waiting) > self._settled:
            self._settle()

    def each(self, count: int) -> Iterator[bytes]:
        """For each number below `count` its entries, joined, oldest first."""
        self._settle()
        order = np.argsort(self._codes, kind="stable")
        data, width = self._entries[order].tobytes(), self._entries.itemsize
        ends = (np.cumsum(np.bincount(self._codes, minlength=count)) * width).tolist()
        for start, end in pairwise([0, *ends]):
            yield data[start:end]

    def _settle(self) -> None:
        codes = np.concatenate([self._codes, *(some for some, _ in self._waiting)])
        entries = np.concatenate([self._entries, *(some for _, some in self._waiting)])
        kept = last_of_each(codes, self.most)
        self._codes, self._entries, self._waiting = codes[kept], entries[kept], []
        self._settled = len(kept)


def last_of_each(codes: Codes, most: int) -> Ints:
    """The places of the last `most` of each number, in order."""
    counts = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    followers = np.repeat(np.cumsum(counts), counts) - np.arange(len(codes)) - 1
    return np.sort(order[followers < most])


def _remember(
    newest: tuple[Newest, ...], rows: Ints, codes: tuple[Codes, ...], entries: Callable[[Ints], Entries]
) -> None:
    """Give each entity the entries of its last of `rows`; `entries` makes them for some rows."""
    last = [rows[last_of_each(own[rows], one.most)] for own, one in zip(codes, newest, strict=True)]
    needed = np.unique(np.concatenate(last))
    made = entries(needed)
    for one, own, places in zip(newest, codes, last, strict=True):
        one.add(own[places], made[np.searchsorted(needed, places)])


def _id_entries(spec: Spec, chunk: Chunk, rows: Ints) -> Entries:
    ids = chunk.rows[spec.event.id].gather(rows).to_list()
    return np.frombuffer(b"".join(map(packed_id, event_hashes(ids))), f"V{ID_BYTES}")


def _known(spec: Spec, chunk: Chunk, until_ms: int | None) -> Ints:
    """The rows whose label is known by then."""
    known_after_ms = spec.event.label_known_after_ms
    if known_after_ms is None or spec.event.label not in chunk.rows.columns:
        return np.empty(0, np.int64)
    told = chunk.rows[spec.event.label].is_not_null()
    if until_ms is not None:
        told &= chunk.rows[spec.event.time] <= until_ms - known_after_ms
    return np.flatnonzero(told.to_numpy())


def _label_entries(spec: Spec, chunk: Chunk, rows: Ints) -> Entries:
    some = chunk.rows[rows] if len(rows) else chunk.rows.clear()
    known_ms = (some[spec.event.time] + (spec.event.label_known_after_ms or 0)).to_list()
    answers = some[spec.event.label or ""].to_list() if len(rows) else []
    hashes = label_hashes(some[spec.event.id].to_list())
    return np.frombuffer(b"".join(map(packed_label, hashes, known_ms, answers)), f"V{LABEL_BYTES}")
