"""Puts a file's records on the stream no faster than they are decided, and waits until all are.

A closed loop: at most BACKLOG events are under way, so the rate is what the stack holds.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from common.dynamodb import RESERVE_MS, DynamoDB
from common.errors import TransientError
from stream_features.spec_model import Spec
from streamscore.decided.decisions_log import Stack
from streamscore.parity.served import PATIENCE_S
from streamscore.producer.stream import Pace, Record, put_in_order, requests_of
from streamscore.progress import Step
from streamscore.room_client import RoomClient

BACKLOG = 4_000
ASKED_AT_ONCE = 500
PAUSE_S = 0.3
STUCK_AFTER_S = 120.0

Decided = Callable[[Sequence[str]], set[str]]
"""Which of these events are decided."""


class Landed(NamedTuple):
    """A request that is on the stream: its events' ids, and how many records it had."""

    events: Sequence[str]
    records: int


@dataclass
class Replayed:
    """What was put, and the events that no decision came for in STUCK_AFTER_S."""

    events: int = 0
    labels: int = 0
    never_decided: list[str] = field(default_factory=list)


def replay(stack: Stack, spec: Spec, records: Iterable[Record], step: Step) -> Replayed:
    """Put the records in their order, wait for their decisions; ``step`` advances as events are decided.

    Raises TransientError if no event at all is decided.
    """
    requests = put_in_order(
        stack.client("kinesis"), stack.outputs["EventsStreamArn"], requests_of(records, Pace())
    )
    id_of = ids_of(spec)
    landed = (
        Landed([id_of(record) for record in request if not record.is_label], len(request))
        for request in requests
    )
    return closed_loop(landed, decided_of(stack), step)


def closed_loop(
    landed: Iterable[Landed],
    decided: Decided,
    step: Step,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Replayed:
    """Draw from ``landed``, which puts, only while fewer than BACKLOG events wait for their decision."""
    done = Replayed()
    waiting = _Waiting(decided, step, done, clock, sleep)
    for request in landed:
        done.events += len(request.events)
        done.labels += request.records - len(request.events)
        waiting.add(request.events)
        if len(waiting) > BACKLOG:
            waiting.until_only(BACKLOG // 2)  # not after every request: each look reads ASKED_AT_ONCE items
    waiting.until_only(0)
    return done


@dataclass
class _Waiting:
    """Events that are put and not known to be decided, oldest first."""

    decided: Decided
    step: Step
    done: Replayed
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    ids: deque[str] = field(default_factory=deque)
    moved_s: float = 0.0

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: Sequence[str]) -> None:
        if not self.ids:
            self.moved_s = self.clock()
        self.ids.extend(ids)

    def until_only(self, count: int) -> None:
        """Wait until at most so many events are left."""
        while len(self) > count:
            self._look()

    def _look(self) -> None:
        """Ask for the oldest; pause if not all are decided, and give up those that hold the rest up."""
        asked = [self.ids.popleft() for _ in range(min(ASKED_AT_ONCE, len(self.ids)))]
        found = self.decided(asked)
        left = [id_ for id_ in asked if id_ not in found]
        if found:
            self.moved_s = self.clock()
            self.step.advance(len(found))
        elif self.clock() - self.moved_s > STUCK_AFTER_S:
            left = self._given_up(left)
        if left:
            self.sleep(PAUSE_S)
        self.ids.extendleft(reversed(left))

    def _given_up(self, ids: list[str]) -> list[str]:
        """Set down what is stuck: a quarantined record is never decided, what came after it may be."""
        self.done.never_decided += ids
        if len(self.done.never_decided) == self.done.events or len(self.done.never_decided) > BACKLOG:
            raise TransientError(
                f"no decision came in {STUCK_AFTER_S:.0f} s; does the stack run? `streamscore start`"
            )
        return []


def ids_of(spec: Spec) -> Callable[[Record], str]:
    """Reads the event id of a record."""
    members = [("id", str | int)]
    decoder = msgspec.json.Decoder(msgspec.defstruct("Id", members, rename={"id": spec.event.id}))
    return lambda record: str(decoder.decode(record.data).id)  # type: ignore[attr-defined]


def decided_of(stack: Stack) -> Decided:
    """Asks the decisions table; labels' stubs are no decisions."""
    dynamodb, table = DynamoDB(RoomClient(stack.client("dynamodb"))), stack.outputs["DecisionsTableName"]

    def decided(ids: Sequence[str]) -> set[str]:
        end_s = time.monotonic() + PATIENCE_S + RESERVE_MS / 1000
        items: list[dict[str, Any]] = dynamodb.batch_get(
            table, ids, ("pk", "scored_at"), lambda: (end_s - time.monotonic()) * 1000
        )
        return {item["pk"]["S"] for item in items if "scored_at" in item}

    return decided
