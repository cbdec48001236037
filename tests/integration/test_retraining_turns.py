"""One run at a time, whatever triggers do: on a real table, with a state machine that only remembers."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from monitor.requests import MANUAL, Reason
from monitor.runs import Runs, Turn
from monitor.turns import Machine, ask, begin_next
from scoring.retrain import Retrain
from streamscore.retraining import following
from streamscore.room_client import RoomClient
from tests.conftest import poll_until
from tests.integration.test_retraining_machine import Place

NOW_S = 1_790_000_000
POLICY = Retrain(settle_s=60, cool_down_s=600)


@dataclass
class States:
    """Step Functions' part: executions by name."""

    started: dict[str, str] = field(default_factory=dict)
    refuses: bool = False

    def start(self, run: str, starts_s: int) -> None:
        if self.refuses:
            raise ConnectionError("lost")
        self.started.setdefault(run, "RUNNING")

    def status(self, run: str) -> str | None:
        return self.started.get(run)


@pytest.fixture
def states() -> Any:
    return States()


@pytest.fixture
def runs(client: Callable[[str], Any]) -> Runs:
    table = f"turns-{uuid.uuid4().hex[:8]}"
    client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return Runs(RoomClient(client("dynamodb")), table)


def reason(name: str, kind: str = "object") -> Reason:
    return Reason(name * 16, kind, f"new data: {name}", f"raw-data/{name}.csv")


def test_the_first_reason_starts_a_run_and_those_that_follow_merge_into_it(
    runs: Runs, states: States
) -> None:
    run = ask(runs, states, [reason("a")], POLICY, NOW_S)
    assert run == "r-20260921-141320-aaaaaa"
    assert ask(runs, states, [reason("b")], POLICY, NOW_S + 10) == run
    assert list(states.started) == [run]
    assert runs.turn() == Turn(run, NOW_S + 60, 0), "it waits for more reasons"
    runs.take(run, runs.waiting())
    assert [one.text for one in runs.taken(run)] == ["new data: a", "new data: b"]
    assert runs.waiting() == []


def test_the_same_reason_again_changes_nothing_while_it_runs_or_after(runs: Runs, states: States) -> None:
    run = ask(runs, states, [reason("a")], POLICY, NOW_S)
    assert not runs.add(reason("a"), NOW_S + 1)
    runs.take(run, runs.waiting())
    assert runs.pass_on(runs.turn(), Turn("", 0, 0))
    assert ask(runs, states, [reason("a")], POLICY, NOW_S + 2) == ""
    assert list(states.started) == [run]


def test_a_reason_that_comes_during_a_run_is_answered_by_the_next_after_the_cool_down(
    runs: Runs, states: States
) -> None:
    run = ask(runs, states, [reason("a")], POLICY, NOW_S)
    runs.take(run, runs.waiting())
    assert ask(runs, states, [reason("b")], POLICY, NOW_S + 100) == run
    free = Turn("", 0, NOW_S + 1000)
    assert runs.pass_on(runs.turn(), free)
    following = begin_next(runs, states, free, POLICY, NOW_S + 400)
    assert runs.turn() == Turn(following, NOW_S + 1000, NOW_S + 1000)
    assert list(states.started) == [run, following]


def test_a_person_waits_for_neither(runs: Runs, states: States) -> None:
    assert runs.pass_on(Turn(), Turn("", 0, NOW_S + 1000))
    run = ask(runs, states, [reason("a", MANUAL)], POLICY, NOW_S)
    assert runs.turn() == Turn(run, NOW_S, NOW_S + 1000)


def test_of_two_at_once_one_gets_the_turn(runs: Runs, states: States) -> None:
    before = runs.turn()
    runs.add(reason("a"), NOW_S)
    assert begin_next(runs, states, before, POLICY, NOW_S)
    assert begin_next(runs, states, before, POLICY, NOW_S + 1) == ""
    assert len(states.started) == 1


def test_a_run_whose_start_was_lost_is_started_by_the_next_trigger(runs: Runs, states: States) -> None:
    states.refuses = True
    with pytest.raises(ConnectionError):
        ask(runs, states, [reason("a")], POLICY, NOW_S)
    states.refuses = False
    run = ask(runs, states, [reason("b")], POLICY, NOW_S + 5)
    assert list(states.started) == [run] == [runs.turn().run]


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT"])
def test_a_run_that_was_ended_from_outside_keeps_no_turn(runs: Runs, states: States, status: str) -> None:
    run = ask(runs, states, [reason("a")], POLICY, NOW_S)
    runs.take(run, runs.waiting())
    states.started[run] = status
    following = ask(runs, states, [reason("b")], POLICY, NOW_S + 5)
    assert following not in ("", run)
    assert states.status(following) == "RUNNING"


def test_an_execution_is_started_once_by_its_name(client: Callable[[str], Any]) -> None:
    states, name = RoomClient(client("stepfunctions")), f"turns-{uuid.uuid4().hex[:8]}"
    definition = '{"StartAt": "Settle", "States": {"Settle": {"Type": "Wait", "Seconds": 3600, "End": true}}}'
    arn = states.create_state_machine(
        name=name, definition=definition, roleArn="arn:aws:iam::000000000000:role/x"
    )["stateMachineArn"]
    machine = Machine(states, arn)
    assert machine.status("r-1") is None
    machine.start("r-1", NOW_S)
    machine.start("r-1", NOW_S)
    assert machine.status("r-1") == "RUNNING"
    place = Place({"RetrainMachineArn": arn}, client)
    poll_until(lambda: following.now(place, "r-1")[0], "it enters its first state")
    assert following.now(place, "r-1") == ("Settle", "waits until 2026-09-21T14:13:20Z")
    states.stop_execution(executionArn=f"{arn.replace(':stateMachine:', ':execution:')}:r-1")
    assert machine.status("r-1") == "ABORTED"
