"""A model's life while events flow: trained, registered, put in shadow, refused for want of labels, tried on
what was decided, promoted once labels have matured, rolled back.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from scoring.pointers import CHALLENGER, Pointer
from streamscore.backtest.backtest import backtest
from streamscore.backtest.result import Result
from streamscore.backtest.stack import known_of
from streamscore.decided.decisions_log import decisions_log
from streamscore.demo.flow import Flow
from streamscore.local.overlay import POINTERS_REREAD_S
from streamscore.local.stack import Stack
from streamscore.producer.stream import Sent
from streamscore.promotion import examined
from streamscore.promotion.examined import Candidate
from streamscore.promotion.gate import Check
from streamscore.training import bundles, pointers

FOLLOWED_S = POINTERS_REREAD_S + 1.0
"""After so long every function that is invoked has read the pointers again."""
LABELS_MORE = 1.2
"""So many times the matured labels that the gate asks for are waited for."""
FORCED = "demo: its events end before labels enough are known, so the gate is passed by hand"
OVERRULED = "demo: a rollback is to be seen, whatever the gate says"


class Plan(NamedTuple):
    """How many events flow during each part; the rest comes after them, decided by the first champion again.

    `enough` is whether labels enough mature before the promotion for the gate to compare the two.
    """

    training: int
    shadow: int
    promotion: int
    reign: int
    rollback: int
    enough: bool

    @classmethod
    def of(cls, events: int, matured: int | None) -> "Plan":
        """For so many live events; labels are enough once the first `matured` have flowed (None: never)."""
        before = matured or round(0.4 * events)
        left = events - before
        promotion, reign, rollback = (max(1, round(left * share)) for share in (0.5, 0.06, 0.36))
        training = max(1, before // 4)
        return cls(training, before - training, promotion, reign, rollback, matured is not None)


@dataclass
class Lived:
    """What was done, and when (epoch ms): decisions made between `followed` moments are of one model."""

    champion: str
    challenger: str = ""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    enough: bool = False
    refused: list[Check] = field(default_factory=list)
    backtest: Result | None = None
    gate: list[Check] = field(default_factory=list)
    promotion: Pointer | None = None
    promoted_ms: int = 0
    promotion_followed_ms: int = 0
    rolled_back_ms: int = 0
    rollback_followed_ms: int = 0
    until_ms: float = math.inf
    sent: Sent = field(default_factory=Sent)

    def phases(self) -> list[tuple[str, tuple[int, float]]]:
        """Who must have decided from when to when: functions had followed the pointer, and it stood."""
        return [
            (self.champion, (0, self.promoted_ms)),
            (self.challenger, (self.promotion_followed_ms, self.rolled_back_ms)),
            (self.champion, (self.rollback_followed_ms, self.until_ms)),
        ]


def first_champion(stack: Stack, bundle: Path) -> str:
    """Register a bundle and promote it through the gate, which has nothing to compare it with."""
    first = registered(stack, bundle)
    failed = _failed(examined.without_traffic(stack, first))
    pointers.promote(stack.client("ssm"), _prefix(stack), first.version, "demo: the first", failed)
    return first.version.version


def live(stack: Stack, flow: Flow, lived: Lived, plan: Plan, trained: Callable[[], Path]) -> None:
    """Everything that happens to the challenger, which `trained` makes, while events flow."""
    lived.enough = plan.enough
    with flow.during(plan.training):
        challenger = registered(stack, trained())
        lived.challenger = challenger.version.version
        ssm, prefix = stack.client("ssm"), _prefix(stack)
        pointers.point(ssm, prefix, challenger.version, "demo: in shadow", CHALLENGER)
        lived.refused = [c for c in examined.against_champion(stack, challenger, _now_ms()) if not c.held]
    with flow.during(plan.shadow):
        pass  # labels mature
    with flow.during(plan.promotion):
        lived.backtest = backtest(decisions_log(stack), known_of(stack), challenger.model)
        promote(stack, challenger, lived)
        time.sleep(FOLLOWED_S)
    lived.promotion_followed_ms = _now_ms()
    with flow.during(plan.reign):
        pass  # it decides
    lived.rolled_back_ms = _now_ms()
    with flow.during(plan.rollback):
        pointers.back(ssm, prefix, "demo: enough seen")
        time.sleep(FOLLOWED_S)
    lived.rollback_followed_ms = _now_ms()
    flow.rest()
    lived.sent = flow.sent


def promote(stack: Stack, challenger: Candidate, lived: Lived) -> None:
    """Through the gate; by force, and saying why, only where it refuses."""
    lived.gate = examined.whole_gate(stack, challenger, _now_ms())
    failed = _failed(lived.gate)
    lived.promoted_ms = _now_ms()
    lived.promotion = pointers.promote(
        stack.client("ssm"), _prefix(stack), challenger.version, _why(failed), failed
    )


def _why(failed: tuple[str, ...]) -> str:
    if not failed:
        return "demo: the gate let it through"
    return FORCED if "coverage" in failed else OVERRULED


def registered(stack: Stack, bundle: Path) -> Candidate:
    """Register a bundle, and find it as what is registered is found."""
    version = bundles.register(stack.client("s3"), stack.outputs["DataBucketName"], bundle)
    return examined.candidate(stack, version.version)


def _failed(checks: list[Check]) -> tuple[str, ...]:
    return tuple(check.name for check in checks if not check.held)


def _prefix(stack: Stack) -> str:
    return stack.outputs["PointerPrefix"]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
