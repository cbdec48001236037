"""The demo's act about drift: payments change while they flow, and nobody does anything about it.

The alarm goes off and starts a run; a model learns what changed, shows it, and decides; the alarm is over.
Then payments change so that this model is wrong, and the watch on it takes it back. Here it is only seen.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from monitor.requests import ADVISED
from monitor.turns import RUNNING
from scoring.pointers import POLICY, Pointer
from stream_features.spec import Spec
from stream_features.values import rfc3339_ms
from streamscore.demo import wave
from streamscore.demo.coming import Coming
from streamscore.demo.life import FOLLOWED_S
from streamscore.demo.looks import looking
from streamscore.demo.steps import Steps
from streamscore.local.stack import Stack
from streamscore.policies import published
from streamscore.producer.records import Selection, new_trace, records
from streamscore.producer.stream import Pace, Sent, put
from streamscore.progress import Step
from streamscore.retraining import following
from streamscore.training import pointers

RATE = 100
"""Records a second: training needs a processor too."""
ROLLED_BACK = "ModelsRolledBack"
ALARM_S, PROMOTION_S, CLEAR_S, ROLLBACK_S = 120.0, 420.0, 120.0, 180.0
"""How long each is waited for; a check tells if it did not come."""
POLL_S = 0.25
IN_A_HURRY = """
# The policy of `streamscore demo --drift`, whose payments come a day a second: hours are seconds.
fallback = "approve"
[gate]
matured_labels = 150
[drift]
reference = "baseline"
min_decisions = 300
[drift.retrain]
psi = 0.8                # few customers: what they are like differs from week to week
[retrain]
settle = "45m"           # waits last a hundredth on this machine
cool_down = "3h"         # the run after the rollback, with the alarm on again, is not waited for
shadow = "2h"
shadow_labels = 200
probation = "10h"
options = ["--train", "28d", "--review-share", "0.08", "--block-share", "0.01"]
"""


@dataclass
class Acted:
    """What happened, and when it was seen (epoch ms; 0: it was not). `champion` decided before; `move` and
    `back` are the moves of its pointer, to the model that a run made and from it; `rang` is whether the alarm
    on that went off.
    """

    champion: str
    began_ms: int
    sent: Sent = field(default_factory=Sent)
    alarmed_ms: int = 0
    runs: list[dict[str, Any]] = field(default_factory=list)
    move: Pointer | None = None
    moved_ms: int = 0
    was_on: bool = False
    cleared_ms: int = 0
    campaign_ms: int = 0
    back: Pointer | None = None
    back_ms: int = 0
    ended: dict[str, Any] = field(default_factory=dict)
    rang: bool = False

    @property
    def until_ms(self) -> float:
        """Until when the champion before decided alone."""
        return _ms(self.move) if self.move else float("inf")

    @property
    def run(self) -> str:
        """The run that promoted its model."""
        return self.move.reason.partition(": ")[0] if self.move else ""

    def phases(self) -> list[tuple[str, tuple[int, float]]]:
        """Who must have decided from when to when: functions had followed the pointer, and it stood."""
        if self.move is None or self.back is None:
            return []
        followed_ms = round(FOLLOWED_S * 1000)
        return [
            (self.champion, (self.began_ms, _ms(self.move))),
            (self.move.version, (self.moved_ms + followed_ms, _ms(self.back))),
            (self.champion, (self.back_ms + followed_ms, float("inf"))),
        ]


def act(stack: Stack, spec: Spec, coming: Coming, champion: str, steps: Steps) -> Acted:
    """Let them flow, let them change, and see what the stack makes of it."""
    acted = Acted(champion, _now_ms())
    _publish(stack)
    with looking(stack), _flowing(stack, spec, coming, acted) as flow:
        see = Seeing(stack, flow)
        with steps("Payments change: the alarm", "records") as flow.step:
            coming.stretch = wave.wave
            acted.alarmed_ms = see.until(lambda: see.is_on(ADVISED), ALARM_S)
            flow.step.note("on" if acted.alarmed_ms else "it did not go off")
        with steps("A run begins by itself", "records") as flow.step:
            see.until(lambda: see.champion().version != champion, PROMOTION_S)
            acted.was_on, acted.runs, move = see.is_on(ADVISED), following.runs(stack), see.champion()
            if move.version != champion:
                acted.move, acted.moved_ms = move, _now_ms()
            flow.step.note(_told(stack, acted))
        if acted.move is not None:
            _reign(see, coming, acted, steps)
    return acted


def _told(stack: Stack, acted: Acted) -> str:
    """Each run with its states and how long they took, and who decides now."""
    runs = []
    for one in reversed(acted.runs):
        took: dict[str, float] = {}
        for step in following.steps(stack, one["run"]):
            took[step.name] = took.get(step.name, 0.0) + step.took_s
        runs.append(f"{one['run']}: " + ", ".join(f"{name} {s:.0f} s" for name, s in took.items() if s >= 1))
    return "; ".join([*runs, f"{acted.move.version} decides" if acted.move else "nothing was promoted"])


def _reign(see: "Seeing", coming: Coming, acted: Acted, steps: Steps) -> None:
    """The new model decides, is right, and then is wrong."""
    flow = see.flow
    with steps("The alarm ends", "records") as flow.step:
        acted.cleared_ms = see.until(lambda: not see.is_on(ADVISED), CLEAR_S)
        flow.step.note("off" if acted.cleared_ms else "it is still on")
    with steps("The model is wrong now", "records") as flow.step:
        coming.stretch, acted.campaign_ms = wave.campaign, _now_ms()
        new = acted.move.version if acted.move else ""
        see.until(lambda: see.champion().version != new, ROLLBACK_S)
        if (back := see.champion()).version != new:
            acted.back, acted.back_ms = back, _now_ms()
        flow.step.note(f"back to {back.version}" if acted.back else "nothing was rolled back")
        time.sleep(FOLLOWED_S + 2 * POLL_S)  # functions follow, and the model before decides a while
        see.until(lambda: see.run(acted.run)["status"] != RUNNING, FOLLOWED_S)
        acted.ended = see.run(acted.run)
        acted.rang = see.until(lambda: see.is_on(ROLLED_BACK), FOLLOWED_S) > 0


class Flowing:
    """Payments on their way; the step of the moment hears how many."""

    def __init__(self) -> None:
        self.step: Step | None = None
        self.put: Future[None] = Future()

    def expect(self, total: int) -> None:
        """Nobody knows."""

    def advance(self, amount: int) -> None:
        """So many more landed."""
        if self.step is not None:
            self.step.advance(amount)

    def note(self, text: str) -> None:
        """There is nothing to say of all."""


class Seeing:
    """Looks at a stack from outside while payments flow."""

    def __init__(self, stack: Stack, flow: Flowing) -> None:
        self._stack, self.flow = stack, flow
        self._cloudwatch, self._ssm = stack.client("cloudwatch"), stack.client("ssm")
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate()
        self._alarms = {one["MetricName"]: one["AlarmName"] for page in pages for one in page["MetricAlarms"]}

    def until(self, is_so: Callable[[], bool], within_s: float) -> int:
        """Wait for it; the moment (epoch ms), or 0 if it did not come, or payments ran out."""
        deadline_s = time.monotonic() + within_s
        while not is_so():
            if time.monotonic() > deadline_s or self.flow.put.done():
                return 0
            time.sleep(POLL_S)
        return _now_ms()

    def is_on(self, metric: str) -> bool:
        """Whether the alarm on that metric is on."""
        (found,) = self._cloudwatch.describe_alarms(AlarmNames=[self._alarms[metric]])["MetricAlarms"]
        return bool(found["StateValue"] == "ALARM")

    def champion(self) -> Pointer:
        """Who decides."""
        return pointers.history(self._ssm, self._stack.outputs["PointerPrefix"])[0]

    def run(self, name: str) -> dict[str, Any]:
        """A run as `streamscore retrain runs` tells of it."""
        return next(one for one in following.runs(self._stack) if one["run"] == name)


@contextmanager
def _flowing(stack: Stack, spec: Spec, coming: Coming, acted: Acted) -> Iterator[Flowing]:
    """Payments and their labels go on the stream meanwhile; at the end, the labels that are not yet known."""
    flowing, failed = Flowing(), threading.Event()

    def flow() -> None:
        some = takewhile(
            lambda _: not failed.is_set(), records(spec, coming.frames(), Selection(), new_trace)
        )
        arn = stack.outputs["EventsStreamArn"]
        acted.sent = put(stack.client("kinesis"), arn, some, Pace(rate=RATE), flowing)

    with ThreadPoolExecutor(1) as pool:
        flowing.put = pool.submit(flow)
        try:
            yield flowing
        except BaseException:  # Ctrl-C too: nothing more is put
            failed.set()
            raise
        finally:
            coming.end()
        flowing.put.result()


def _publish(stack: Stack) -> None:
    place = published.Place.of(stack)
    version, _ = published.publish(place, IN_A_HURRY, "the demo's policy")
    pointers.point(place.ssm, place.prefix, version, "demo: what takes days takes seconds", POLICY)


def _ms(pointer: Pointer) -> int:
    return rfc3339_ms(pointer.at, "at")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
