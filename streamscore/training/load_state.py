"""Writes the states that a file of events ends with to the state table, for live events to build on.

An item that is already as it should be is not written, so a second run changes nothing and a broken-off one
goes on where it stopped. An item the stream has written since holds events that the file may not have: it is
kept, and counted, unless `replace` says otherwise. One that is split stays so: its main item holds what the
file says, its sub-items their watermarks and nothing else.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from common.dynamodb import RESERVE_MS, DynamoDB
from common.errors import InvalidInputError, TransientError
from stream_features.protocol import Saved
from stream_features.sharing import main_key, split_keys, sub_keys
from stream_features.spec import Spec
from stream_features.state import ABSENT, Item, Stored, as_split, encode_item, is_split
from stream_features.store import StateTable
from stream_features.turn import Write, long_lived, ttl_s
from streamscore.room_client import RoomClient
from streamscore.training import cutover
from streamscore.training.final_states import FinalStates

ITEMS_PER_STEP = 2_000
PATIENCE_S = 60  # for one step
TRIES = 5
NO_WATERMARKS, NO_STATE = encode_item(Item(), 0, 0)


@dataclass(slots=True)
class Loaded:
    """How many items were written, were right already, and were kept because the stream has written them."""

    written: int = 0
    unchanged: int = 0
    kept: int = 0


def state_table(stack: Any) -> Callable[[], StateTable]:
    """Makes the stack's state table, good for PATIENCE_S."""
    dynamodb, name = DynamoDB(RoomClient(stack.client("dynamodb"))), stack.outputs["StateTableName"]

    def make() -> StateTable:
        end_s = time.monotonic() + PATIENCE_S + RESERVE_MS / 1000
        return StateTable(dynamodb, name, lambda: (end_s - time.monotonic()) * 1000)

    return make


def load(
    stack: Any,
    final: FinalStates,
    *,
    replace: bool = False,
    advance: Callable[[int], None] = lambda items: None,
) -> Loaded:
    """Write every entity's item and last, if the states end at a moment, the cut-over mark.

    `advance` is told of the items done. InvalidInputError if a mark would move back, or would cover records
    that a kept item has not seen; TransientError if DynamoDB is stuck. A run that breaks off leaves no mark.
    """
    until_ms = final.replay.until_ms
    if until_ms is not None:
        cutover.check(stack, until_ms)
    loaded = _load_items(state_table(stack), final, replace, advance)
    if until_ms is not None and cutover.read(stack) != until_ms:
        if loaded.kept:
            raise InvalidInputError(
                f"{loaded.kept:,} items are kept, for the stream has written them, and may lack what --until "
                "covers; so the stream still counts everything. --replace overwrites them"
            )
        cutover.write(stack, until_ms)
    return loaded


def _load_items(
    table: Callable[[], StateTable], final: FinalStates, replace: bool, advance: Callable[[int], None]
) -> Loaded:
    spec = final.replay.spec
    loading = _Loading(spec, time.time_ns() // 1_000_000, replace)
    for entity in range(len(spec.entities)):
        for states in batched(final.of(entity), ITEMS_PER_STEP, strict=False):
            loading.write(table(), entity, dict(states))
            advance(len(states))
    return loading.loaded


@dataclass(slots=True)
class _Loading:
    """A load under way."""

    spec: Spec
    now_ms: int
    replace: bool
    loaded: Loaded = field(default_factory=Loaded)

    def write(self, table: StateTable, entity: int, states: dict[str, bytes]) -> None:
        """Write what differs; an item that changes meanwhile is looked at again."""
        for attempt in range(TRIES):
            found = _read(table, list(states), attempt)
            if found is None:
                break
            writes = list(self._writes(entity, states, found))
            outcomes = table.save(writes)
            saved = [(main_key(w.pk), one) for w, one in zip(writes, outcomes, strict=True)]
            rest = {pk for pk, one in saved if one is not Saved.DONE}
            self.loaded.written += len({pk for pk, _ in saved} - rest)
            states = {pk: states[pk] for pk in rest}
            if not states:
                return
        raise TransientError("DynamoDB does not keep up; run the command again, it goes on where it stopped")

    def _writes(self, entity: int, states: dict[str, bytes], found: Mapping[str, Stored]) -> Iterator[Write]:
        for pk, s in states.items():
            old = found.get(pk, ABSENT)
            subs = {sub: found[sub] for sub in sub_keys(pk) if sub in found} if is_split(old) else {}
            wanted = as_split(s) if is_split(old) else s
            if old.s == wanted and all(sub.s == NO_STATE for sub in subs.values()):
                self.loaded.unchanged += 1
            elif old.v and old.w != NO_WATERMARKS and not self.replace:
                self.loaded.kept += 1
            else:
                yield self._write(entity, pk, old, wanted)
                yield from (self._write(entity, sub, stored, NO_STATE) for sub, stored in subs.items())

    def _write(self, entity: int, pk: str, old: Stored, s: bytes) -> Write:
        """Watermarks stay: what the stream has delivered it will not deliver again."""
        v = old.v + 1 if old.v else self.now_ms
        expires_s = ttl_s(self.spec, entity, self.now_ms)
        write = Write(pk, old.v, v, old.w or NO_WATERMARKS, s, expires_s)
        return long_lived(self.spec, entity, write, self.now_ms) if is_split(old) else write


def _read(table: StateTable, keys: list[str], attempt: int) -> Mapping[str, Stored] | None:
    """The items, and the sub-items of those that are split; None if they cannot be had in time."""
    found = table.read(keys, attempt)
    split = split_keys(found, keys) if found else ()
    more = table.read([sub for key in split for sub in sub_keys(key)]) if split else {}
    return None if found is None or more is None else {**found, **more}
