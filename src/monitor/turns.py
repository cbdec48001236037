"""Whose turn it is: reasons are kept, and at most one run exists that answers them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from common.errors import ServiceError
from monitor.requests import MANUAL, Reason
from monitor.runs import Runs, Turn
from monitor.times import iso
from scoring.retrain import Retrain

RUNNING = "RUNNING"
_REASON_DIGITS = 6


def execution_arn(machine: str, run: str) -> str:
    """Of a run, by its state machine's ARN and its name."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{run}"


class Machine:
    """The state machine, whose executions are the runs."""

    def __init__(self, states: Any, arn: str) -> None:
        self._states, self._arn = states, arn

    def start(self, run: str, starts_s: int) -> None:
        """Start a run by its name; one that was started before is the same run."""
        try:
            self._states.start_execution(
                stateMachineArn=self._arn, name=run, input=json.dumps({"starts": iso(starts_s)})
            )
        except ServiceError as error:
            if error.code != "ExecutionAlreadyExists":
                raise

    def status(self, run: str) -> str | None:
        """Its status in Step Functions' words; None if it was never started."""
        try:
            found = self._states.describe_execution(executionArn=execution_arn(self._arn, run))
            return str(found["status"])
        except ServiceError as error:
            if error.code == "ExecutionDoesNotExist":
                return None
            raise


def ask(runs: Runs, machine: Machine, reasons: Sequence[Reason], policy: Retrain, now_s: float) -> str:
    """Keep the reasons, and see to it that a run answers them; its name, or "" if there is nothing to do.

    While one runs, new reasons wait, and merge, until it is over.
    """
    for reason in reasons:
        runs.add(reason, now_s)
    turn = runs.turn()
    if turn.run:
        status = machine.status(turn.run)
        if status is None:  # whoever took the turn did not come to start it
            machine.start(turn.run, turn.starts_s)
        if status in (None, RUNNING):
            return turn.run
    return begin_next(runs, machine, turn, policy, now_s)


def begin_next(runs: Runs, machine: Machine, turn: Turn, policy: Retrain, now_s: float) -> str:
    """Give the turn to a new run if reasons wait; its name, or "" if none does, or somebody was quicker."""
    waiting = runs.waiting()
    if not waiting:
        return ""
    is_asked_for = any(reason.kind == MANUAL for reason in waiting)
    settled_s = int(now_s) + (0 if is_asked_for else policy.settle_s)
    starts_s = settled_s if is_asked_for else max(settled_s, turn.peace_until_s)
    run = run_name(waiting[0], now_s)
    if not runs.pass_on(turn, Turn(run, starts_s, turn.peace_until_s)):
        return ""
    machine.start(run, starts_s)
    return run


def run_name(first: Reason, now_s: float) -> str:
    """The moment and the first reason: readable, and no other run's.

    >>> run_name(Reason("0123456789abcdef", "manual", ""), 1_790_000_100)
    'r-20260921-141500-012345'
    """
    at = datetime.fromtimestamp(now_s, UTC)
    return f"r-{at:%Y%m%d-%H%M%S}-{first.id[:_REASON_DIGITS]}"
