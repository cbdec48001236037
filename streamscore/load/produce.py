"""Puts a load on a stream for its time: what could not be put by then is left out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from streamscore.load.events import Events
from streamscore.load.profiles import Profile
from streamscore.producer.stream import MAX_RECORDS_A_REQUEST, Record, put_in_order
from streamscore.progress import Step

GRACE_S = 1.0
"""So long, at most, the last events may come late."""
TICK_S = 0.05
"""What falls due meanwhile shares requests; unlike `streamscore put`, events of one key too."""


@dataclass
class Put:
    """What was put, in how long; the greatest lag behind the profile says whether the producer kept up."""

    events: int = 0
    took_s: float = 0.0
    behind: int = 0

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.took_s if self.took_s else 0.0


class Clock(NamedTuple):
    """Seconds from anywhere, and a pause of so many."""

    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def to_stream(kinesis: Any, stream_arn: str) -> Callable[[Sequence[Record]], None]:
    """Puts a request on the stream. It raises TransientError if the stream takes nothing for long."""

    def put(request: Sequence[Record]) -> None:
        for _ in put_in_order(kinesis, stream_arn, [request]):
            pass

    return put


def produce(
    put_request: Callable[[Sequence[Record]], None],
    events: Events,
    profile: Profile,
    step: Step,
    clock: Clock = Clock(),  # noqa: B008 - a constant
) -> Put:
    """Put what the profile has fall due, tick by tick."""
    put, began_s = Put(), clock.now_s()
    step.expect(profile.events)
    while (elapsed_s := clock.now_s() - began_s) < profile.length_s + GRACE_S and put.events < profile.events:
        due = profile.due(elapsed_s) - put.events
        put.behind = max(put.behind, due)
        if due == 0:
            clock.sleep(TICK_S)
            continue
        count = min(due, MAX_RECORDS_A_REQUEST)
        put_request(list(events.made(put.events, count, time.time_ns() // 1_000_000)))
        put.events += count
        step.advance(count)
    put.took_s = max(clock.now_s() - began_s, TICK_S)
    return put
