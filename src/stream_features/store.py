"""The state table: reads items, writes them on condition, and runs a delivery's exchange against it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from common.dynamodb import DynamoDB, Outcome, RemainingMs, Statement
from common.errors import TransientError
from common.tracing import step
from stream_features.layout import layouts
from stream_features.merging import merged
from stream_features.protocol import Applied, Read, Save, Saved, Steps
from stream_features.sharing import SHARING, pieces, split_keys, sub_keys
from stream_features.spec import Spec
from stream_features.state import Stored, kernel_blob
from stream_features.turn import Write

_SAVED = {
    Outcome.OK: Saved.DONE,
    Outcome.CONDITION_FAILED: Saved.CONFLICT,
    Outcome.DUPLICATE: Saved.CONFLICT,
    Outcome.THROTTLED: Saved.UNFINISHED,
}


class Store(Protocol):
    """Where state items live."""

    def read(self, keys: Sequence[str], attempt: int) -> Mapping[str, Stored] | None:
        """The items that exist, or None if they cannot be had in time; pauses before all but attempt 0."""

    def save(self, writes: Sequence[Write]) -> Sequence[Saved]:
        """Each write on its own condition."""


def run(exchange: Steps[Applied], store: Store) -> Applied:
    """Carry out what the exchange asks for until it is done."""
    answer: Any = None
    while not isinstance(request := _next(exchange, answer), Applied):
        answer = _read(store, request) if isinstance(request, Read) else _save(store, request)
    return request


def _next(exchange: Steps[Applied], answer: Any) -> Read | Save | Applied:
    with step("fold"):
        try:
            return exchange.send(answer)
        except StopIteration as end:
            applied: Applied = end.value
            return applied


def _read(store: Store, request: Read) -> Mapping[str, Stored] | None:
    with step("read", items=len(request.keys), attempt=request.attempt) as reading:
        found = store.read(request.keys, request.attempt)
        reading.flag(throttle=found is None)
    return found


def _save(store: Store, request: Save) -> Sequence[Saved]:
    with step("write", items=len(request.writes)) as writing:
        saved = store.save(request.writes)
        writing.annotate(conflicts=saved.count(Saved.CONFLICT))
        writing.flag(throttle=Saved.UNFINISHED in saved)
    return saved


def read_items(
    dynamodb: DynamoDB, table: str, keys: Sequence[str], remaining_ms: RemainingMs
) -> dict[str, list[Stored]]:
    """What is stored of each entity that exists, by its key: its item; if split, the sub-items after it.

    TransientError if DynamoDB does not answer in time.
    """
    found = stored_of(dynamodb.batch_get(table, keys, _ATTRIBUTES, remaining_ms))
    items = {key: [stored] for key, stored in found.items()}
    if split := split_keys(found, keys):
        wanted = {key: sub_keys(key, SHARING) for key in split}
        asked = [sub for subs in wanted.values() for sub in subs]
        more = stored_of(dynamodb.batch_get(table, asked, _ATTRIBUTES, remaining_ms))
        for key, subs in wanted.items():
            items[key] += [more[sub] for sub in subs if sub in more]
    return items


def read_states(
    dynamodb: DynamoDB, table: str, spec: Spec, keys: Sequence[str], remaining_ms: RemainingMs
) -> dict[str, bytes]:
    """The kernel's state of each entity that exists, by its key. TransientError as for `read_items`."""
    return states_of(spec, read_items(dynamodb, table, keys, remaining_ms))


def states_of(spec: Spec, items: Mapping[str, Sequence[Stored]]) -> dict[str, bytes]:
    """The kernel's state of each entity, by its key, of all that is stored of it."""
    states = {key: kernel_blob(stored.s) for key, (stored, *_) in items.items()}
    for entity, layout in zip(spec.entities, layouts(spec), strict=True):
        own = [key for key, some in items.items() if len(some) > 1 and key.startswith(f"{entity.name}#")]
        states.update(zip(own, merged(layout, [pieces(items[key]) for key in own]), strict=True))
    return states


def stored_of(items: Iterable[Mapping[str, Any]]) -> dict[str, Stored]:
    """Items as DynamoDB gives them, by their keys."""
    return {
        item["pk"]["S"]: Stored(int(item["v"]["N"]), bytes(item["w"]["B"]), bytes(item["s"]["B"]))
        for item in items
    }


class StateTable:
    """The DynamoDB table `state`, for as long as `remaining_ms` allows."""

    def __init__(self, dynamodb: DynamoDB, table: str, remaining_ms: RemainingMs) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._inserts = {with_out: _insert(table, with_out) for with_out in (True, False)}
        self._updates = {with_out: _update(table, with_out) for with_out in (True, False)}
        self._remaining_ms = remaining_ms

    def read(self, keys: Sequence[str], attempt: int = 0) -> Mapping[str, Stored] | None:
        """See Store."""
        if attempt and not self._dynamodb.backoff.pause(attempt, self._remaining_ms):
            return None
        try:
            items = self._dynamodb.batch_get(self._table, keys, _ATTRIBUTES, self._remaining_ms)
        except TransientError:
            return None
        return stored_of(items)

    def save(self, writes: Sequence[Write]) -> Sequence[Saved]:
        """See Store."""
        outcomes = self._dynamodb.execute([self._statement(write) for write in writes], self._remaining_ms)
        return [_SAVED[outcome] for outcome in outcomes]

    def _statement(self, write: Write) -> Statement:
        v, ttl = {"N": str(write.v)}, {"N": str(write.ttl_s)}
        values: list[dict[str, Any]] = [v, {"B": write.w}, {"B": write.s}, ttl]
        if write.out is not None:
            values.append({"B": write.out})
        pk = {"S": write.pk}
        if write.read_v == 0:
            return Statement(self._inserts[write.out is not None], [pk, *values], write.size)
        read_v = {"N": str(write.read_v)}
        return Statement(self._updates[write.out is not None], [*values, pk, read_v], write.size)


_ATTRIBUTES = ("pk", "v", "w", "s")


def _insert(table: str, with_out: bool) -> str:
    out = ", 'out': ?" if with_out else ""
    return f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'v': ?, 'w': ?, 's': ?, 'ttl': ?{out}}}"


def _update(table: str, with_out: bool) -> str:
    """`out` never outlives its write: it is replaced or removed."""
    out = 'SET "out"=?' if with_out else 'REMOVE "out"'
    return f'UPDATE "{table}" SET v=? SET w=? SET s=? SET "ttl"=? {out} WHERE pk=? AND v=?'  # noqa: S608 - own table
