"""A model's life while events flow: in shadow, refused by the gate, promoted all the same, rolled back."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from scoring.pointers import CHALLENGER
from stream_features.spec import Spec
from streamscore.local.overlay import POINTERS_REREAD_S
from streamscore.local.stack import Stack
from streamscore.producer.stream import Pace, Record, Sent, put
from streamscore.progress import Step
from streamscore.promotion import examined
from streamscore.promotion.gate import Check
from streamscore.training import pointers

FOLLOWED_S = POINTERS_REREAD_S + 1.0
"""After so long every function that is invoked has read the pointers again."""
PARTS = (0.15, 0.3, 0.1, 0.3)
"""Of the live events: before the promotion; until it is followed; with the challenger as champion; until the
rollback is followed. The rest is decided by the first champion again.
"""
_DECIDED_WITHIN_S, _LOOK_S = 60.0, 0.1


@dataclass
class Lived:
    """What was done, and when (epoch ms): decisions made between `followed` moments are of one model."""

    champion: str
    challenger: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    refused: list[Check] = field(default_factory=list)
    promoted_ms: int = 0
    promotion_followed_ms: int = 0
    rolled_back_ms: int = 0
    rollback_followed_ms: int = 0
    sent: Sent = field(default_factory=Sent)

    def phases(self) -> list[tuple[str, tuple[int, float]]]:
        """Who must have decided from when to when: functions had followed the pointer, and it stood."""
        return [
            (self.champion, (0, self.promoted_ms)),
            (self.challenger, (self.promotion_followed_ms, self.rolled_back_ms)),
            (self.champion, (self.rollback_followed_ms, math.inf)),
        ]


def introduce(stack: Stack, champion: str, challenger: str) -> None:
    """Promote the first through the gate, and put the second in shadow."""
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    first, second = (examined.candidate(stack, version) for version in (champion, challenger))
    checks = examined.without_traffic(stack, first)
    failed = tuple(check.name for check in checks if not check.held)
    pointers.promote(ssm, prefix, first.version, "demo: the first", failed)
    pointers.point(ssm, prefix, second.version, "demo: in shadow", CHALLENGER)


@dataclass
class Stream:
    """The live records, put a part at a time."""

    stack: Stack
    spec: Spec
    records: Iterator[Record]
    pace: Pace
    step: Step
    sent: Sent = field(default_factory=Sent)

    def put(self, events: int | None = None) -> None:
        """Put the next `events` events and the labels among them, and return once the last one is decided;
        without a number put all that are left, and do not wait.
        """
        kinesis, arn = self.stack.client("kinesis"), self.stack.outputs["EventsStreamArn"]
        some = self.records if events is None else self._next(events)
        done = put(kinesis, arn, some, self.pace, self.step)
        self.sent.events += done.events
        self.sent.labels += done.labels
        if isinstance(some, list):
            self._wait_for(some[-1:])

    def _next(self, events: int) -> list[Record]:
        """Up to and with so many events."""
        some: list[Record] = []
        for record in self.records if events else ():
            some.append(record)
            events -= not record.is_label
            if not events:
                break
        return some

    def _wait_for(self, events: Sequence[Record]) -> None:
        """Until these are decided; the checks will tell if they never are."""
        db, table = self.stack.client("dynamodb"), self.stack.outputs["DecisionsTableName"]
        deadline_s = time.monotonic() + _DECIDED_WITHIN_S
        for event in events:
            key = {"pk": {"S": str(msgspec.json.decode(event.data)[self.spec.event.id])}}
            while time.monotonic() < deadline_s:
                if "scored_at" in db.get_item(TableName=table, Key=key).get("Item", {}):
                    break
                time.sleep(_LOOK_S)


def live(stack: Stack, stream: Stream, lived: Lived, events: int) -> None:
    """Everything that happens to the models while `events` events are put."""
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    parts = [max(1, round(events * part)) for part in PARTS]
    challenger = examined.candidate(stack, lived.challenger)
    stream.put(parts[0])
    lived.refused = [c for c in examined.against_champion(stack, challenger, _now_ms()) if not c.held]
    names = tuple(check.name for check in lived.refused)
    lived.promoted_ms = _now_ms()
    pointers.promote(ssm, prefix, challenger.version, "demo: labels come later", names)
    lived.promotion_followed_ms = _flow(stream, parts[1])
    stream.put(parts[2])
    lived.rolled_back_ms = _now_ms()
    pointers.back(ssm, prefix, "demo: enough seen")
    lived.rollback_followed_ms = _flow(stream, parts[3])
    stream.put()
    lived.sent = stream.sent


def _flow(stream: Stream, count: int) -> int:
    """Put records while functions follow a pointer; when all that are invoked from now on have."""
    until_s = time.monotonic() + FOLLOWED_S
    stream.put(count)
    time.sleep(max(0.0, until_s - time.monotonic()))
    return _now_ms()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
