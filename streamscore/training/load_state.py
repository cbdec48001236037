"""Writes the states that a file of events ends with to the state table, for live events to build on.

An item that is already as it should be is not written, so a second run changes nothing and a broken-off one
goes on where it stopped. An item the stream has written since holds events that the file may not have: it is
kept, and counted, unless `replace` says otherwise.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from common.dynamodb import RESERVE_MS, DynamoDB
from common.errors import TransientError
from stream_features.columns import Ints
from stream_features.events import event_hash, label_hash
from stream_features.protocol import Saved
from stream_features.spec import Spec
from stream_features.state import ABSENT, Item, Stored, encode_item, item_key
from stream_features.store import StateTable
from stream_features.turn import Write, ttl_s
from stream_features.verdict import REMEMBERED_IDS, REMEMBERED_LABELS, packed_id, packed_label
from streamscore.training.backfill import Backfilled, backfill

ITEMS_PER_STEP = 2_000
PATIENCE_S = 60  # for one step
TRIES = 5
NO_WATERMARKS = encode_item(Item(), 0, 0)[0]


@dataclass(slots=True)
class Loaded:
    """How many items were written, were right already, and were kept because the stream has written them."""

    written: int = 0
    unchanged: int = 0
    kept: int = 0


def load_state(stack: Any, spec: Spec, path: Path, until_ms: int | None = None) -> int:
    """Load a file's states into a stack's table; the number of items that hold them now."""
    table = state_table(stack)
    loaded = load(table, backfill(spec, path, until_ms), until_ms)
    return loaded.written + loaded.unchanged


def state_table(stack: Any) -> Callable[[], StateTable]:
    """Makes the stack's state table, good for PATIENCE_S."""
    dynamodb, name = DynamoDB(stack.client("dynamodb")), stack.outputs["StateTableName"]

    def make() -> StateTable:
        end_s = time.monotonic() + PATIENCE_S + RESERVE_MS / 1000
        return StateTable(dynamodb, name, lambda: (end_s - time.monotonic()) * 1000)

    return make


def load(
    table: Callable[[], StateTable],
    history: Backfilled,
    until_ms: int | None = None,
    *,
    replace: bool = False,
    advance: Callable[[int], None] = lambda items: None,
) -> Loaded:
    """Write every entity's item; `advance` is told of the items done. TransientError if DynamoDB is stuck."""
    loading = _Loading(time.time_ns() // 1_000_000, replace)
    for entity in range(len(history.spec.entities)):
        expires_s = ttl_s(history.spec, entity, loading.now_ms)
        states = list(item_states(history, entity, until_ms))
        for start in range(0, len(states), ITEMS_PER_STEP):
            step = dict(states[start : start + ITEMS_PER_STEP])
            loading.write(table(), step, expires_s)
            advance(len(step))
    return loading.loaded


def item_states(history: Backfilled, entity: int, until_ms: int | None = None) -> Iterator[tuple[str, bytes]]:
    """(pk, `s`) of every item of an entity: its last state, and the ids and labels it would remember."""
    name = history.spec.entities[entity].name
    codes = _codes(history, entity)
    ids = _newest(codes, [packed_id(event_hash(id_)) for id_ in history.ids], REMEMBERED_IDS)
    rows, entries = _known_labels(history, until_ms)
    labels = _newest(codes[rows], entries, REMEMBERED_LABELS)
    for code, (value, blob) in enumerate(zip(history.names[entity], history.blobs[entity], strict=True)):
        item = Item(ids=ids[code], labels=labels.get(code, b""), blob=blob)
        yield item_key(name, value), encode_item(item, 0, 0)[1]


def _codes(history: Backfilled, entity: int) -> Ints:
    """The place in `names` of each event's value of the entity."""
    numbers = pl.DataFrame({"name": history.names[entity]}).with_row_index("code")
    values = pl.DataFrame({"name": history.entities[entity]})
    joined = values.join(numbers, on="name", how="left", maintain_order="left")
    return joined["code"].cast(pl.Int64).to_numpy()


def _known_labels(history: Backfilled, until_ms: int | None) -> tuple[Ints, list[bytes]]:
    """The events whose labels are known by then, in that order, and what is remembered of each label."""
    known_after_ms = history.spec.event.label_known_after_ms
    if history.labels is None or known_after_ms is None:
        return np.empty(0, np.int64), []
    known_ms = history.time_ms + known_after_ms
    told = history.labels.is_not_null().to_numpy()
    rows = np.flatnonzero(told if until_ms is None else told & (known_ms <= until_ms))
    ids = history.ids.gather(rows)
    known = zip(ids, known_ms[rows].tolist(), history.labels.gather(rows), strict=True)
    return rows, [packed_label(label_hash(id_), at, bool(answer)) for id_, at, answer in known]


def _newest(codes: Ints, entries: Sequence[bytes], most: int) -> dict[int, bytes]:
    """The last `most` entries of each code, joined."""
    order = np.argsort(codes, kind="stable")
    found, counts = np.unique(codes, return_counts=True)
    ends = np.cumsum(counts).tolist()
    by_code = [entries[n] for n in order.tolist()]
    spans = zip(found.tolist(), counts.tolist(), ends, strict=True)
    return {code: b"".join(by_code[end - min(count, most) : end]) for code, count, end in spans}


@dataclass(slots=True)
class _Loading:
    """A load under way."""

    now_ms: int
    replace: bool
    loaded: Loaded = field(default_factory=Loaded)

    def write(self, table: StateTable, states: dict[str, bytes], expires_s: int) -> None:
        """Write what differs; an item that changes meanwhile is looked at again."""
        for attempt in range(TRIES):
            found = table.read(list(states), attempt)
            if found is None:
                break
            writes = list(self._writes(states, found))
            outcomes = table.save([write._replace(ttl_s=expires_s) for write in writes])
            self.loaded.written += outcomes.count(Saved.DONE)
            rest = {w.pk for w, saved in zip(writes, outcomes, strict=True) if saved is not Saved.DONE}
            states = {pk: states[pk] for pk in rest}
            if not states:
                return
        raise TransientError("DynamoDB does not keep up; run the command again, it goes on where it stopped")

    def _writes(self, states: dict[str, bytes], found: Mapping[str, Stored]) -> Iterator[Write]:
        for pk, s in states.items():
            old = found.get(pk, ABSENT)
            if old.s == s:
                self.loaded.unchanged += 1
            elif old.v and old.w != NO_WATERMARKS and not self.replace:
                self.loaded.kept += 1
            else:
                v = old.v + 1 if old.v else self.now_ms
                yield Write(pk, old.v, v, old.w or NO_WATERMARKS, s, 0)
