"""What goes wrong when, decided by a seed alone: the n-th call, invocation or put of a kind. Pure."""

import random
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """What becomes of a call that a function makes."""

    NONE = "passed on"
    THROTTLED = "throttled"
    FAILED = "answered with a 5xx"
    RESET = "hung up on"
    PARTIAL = "done by half, the rest told as unprocessed"
    LOST = "done, and hung up on"
    SLOW = "done, after a while"


class Mishap(Enum):
    """What becomes of an invocation."""

    NONE = "runs"
    THROTTLED = "refused with a 429"
    KILLED = "its process is killed with -9 while it runs"
    POLLER_KILLED = "the poller is killed with -9 while it runs"


class Turn(Enum):
    """What the producer does besides, after a put."""

    NONE = "nothing"
    REPEATED = "puts a record again that it put before"
    BROKEN = "puts a record that cannot be parsed"


type Weights[T] = tuple[tuple[T, float], ...]

FAULTS: Weights[Fault] = (
    (Fault.THROTTLED, 0.02),
    (Fault.FAILED, 0.02),
    (Fault.RESET, 0.01),
    (Fault.PARTIAL, 0.04),
    (Fault.LOST, 0.02),
    (Fault.SLOW, 0.03),
)
MISHAPS: Weights[Mishap] = (
    (Mishap.THROTTLED, 0.05),
    (Mishap.KILLED, 0.05),
    (Mishap.POLLER_KILLED, 0.01),
)
_KILLS_ALL_ALONG = 6000
TURNS: Weights[Turn] = ((Turn.REPEATED, 0.03), (Turn.BROKEN, 0.005))


@dataclass(frozen=True)
class Schedule:
    """Everything that a seed brings about. Chances are a call's, an invocation's, a put record's."""

    seed: int
    faults: Weights[Fault] = FAULTS
    mishaps: Weights[Mishap] = MISHAPS
    turns: Weights[Turn] = TURNS
    skew_s: float = 4.0
    reshards: bool = True

    def fault(self, operation: str, number: int) -> Fault:
        """Of a function's call."""
        return _drawn(self._rng("call", operation, number), self.faults, Fault.NONE)

    def mishap(self, function: str, number: int) -> Mishap:
        """Of an invocation."""
        return _drawn(self._rng("invocation", function, number), self.mishaps, Mishap.NONE)

    def turn(self, number: int) -> Turn:
        """After the put of a record."""
        return _drawn(self._rng("put", "", number), self.turns, Turn.NONE)

    def one_of(self, count: int, number: int) -> int:
        """A choice among `count` things, at the n-th time."""
        return self._rng("choice", "", number).randrange(count)

    def delay_s(self, kind: str, number: int, most_s: float) -> float:
        """How long until it happens, or how long it takes."""
        return self._rng("delay", kind, number).uniform(0.0, most_s)

    def _rng(self, kind: str, name: str, number: int) -> random.Random:
        return random.Random(f"{self.seed}/{kind}/{name}/{number}")  # noqa: S311 - a schedule, no secret


def schedule_of(seed: int, events: int) -> Schedule:
    """The faults of a seed for a run of so many events: a long one has kills all along, but not more of them.

    Each costs the start of a process, and fifty seeds have to fit a night.
    """
    share = min(1.0, _KILLS_ALL_ALONG / events)
    rarer = {Mishap.KILLED, Mishap.POLLER_KILLED}
    mishaps = tuple((what, chance * share if what in rarer else chance) for what, chance in MISHAPS)
    return Schedule(seed, mishaps=mishaps)


NOTHING = Schedule(seed=0, faults=(), mishaps=(), turns=(), skew_s=0.0, reshards=False)
"""A run without faults."""


def _drawn[T](rng: random.Random, weights: Weights[T], nothing: T) -> T:
    point = rng.random()
    for what, chance in weights:
        point -= chance
        if point < 0:
            return what
    return nothing
