"""A run as a person follows it: its steps as they end, how long each took, what it found."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from common.errors import InvalidInputError
from monitor.requests import MANUAL
from monitor.runs import PK, object_key, token_sk
from monitor.turns import RUNNING, execution_arn
from streamscore.decided.decisions_log import Stack
from streamscore.training import bundles

FOUND = ("CheckData", "AssembleTrainingSet", "Evaluate", "Compare")
"""States whose finding lies in the run's folder."""
_QUIET = ("Find", "Is", "May", "Who", "Does")
"""States that only read or choose begin so."""
_LOOK_S = 1.0
SETTLE, ASK = "Settle", "AskAPerson"
_NO_RUN = {"ExecutionDoesNotExist", "InvalidArn", "InvalidName", "ValidationException"}
"""What Step Functions says of names that no run has, or could have."""


class Step(NamedTuple):
    """A state that was left: how long it took, and what it found, for people."""

    name: str
    took_s: float
    note: str


class Ended(NamedTuple):
    """A run that is over: its status in Step Functions' words, its outcome, and why."""

    status: str
    outcome: str
    text: str
    model: str


def ask(stack: Stack, asked_id: str, reason: str) -> str:
    """Ask for a run; the name of the one that will answer. InvalidInputError if it was not taken."""
    event = {"source": MANUAL, "id": asked_id, "text": reason}
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["RetrainFunctionName"], Payload=json.dumps(event).encode()
    )
    told = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise InvalidInputError(f"retraining could not be started: {told.get('errorMessage', told)}")
    return str(told["run"])


def follow(
    stack: Stack, run: str, say: Callable[[Step], None], pause: Callable[[float], None] = time.sleep
) -> Ended:
    """Say each step of a run as it ends, those that are over first, and what it waits for where that may take
    long; return when the run has ended.
    """
    said, waits = 0, ""
    while True:
        status = _status(stack, run)
        ended = steps(stack, run)
        for step in ended[said:]:
            say(step._replace(note=_note(stack, run, step.name)))
        said = len(ended)
        if status != RUNNING:
            return _ended(stack, run, status)
        name, note = now(stack, run)
        if note and note != waits:
            say(Step(name, 0.0, note))
        waits = note
        pause(_LOOK_S)


def now(stack: Stack, run: str) -> tuple[str, str]:
    """The state that a run is in, and what it waits for there: a time, or a person ("": it works, or looks on
    by itself).
    """
    newest = stack.client("stepfunctions").get_execution_history(
        executionArn=_arn(stack, run), includeExecutionData=False, reverseOrder=True, maxResults=20
    )["events"]
    entered = (
        event["stateEnteredEventDetails"]["name"] for event in newest if "stateEnteredEventDetails" in event
    )
    name = next(entered, "")
    if name == SETTLE:
        return name, f"waits until {json.loads(_described(stack, run)['input'])['starts']}"
    if name == ASK:
        return name, f"waits for a person: `streamscore retrain approve {run}`, or `refuse`"
    return name, ""


def steps(stack: Stack, run: str) -> list[Step]:
    """The steps of a run that are over, in order, without what they found."""
    return list(steps_of(_history(stack, run)))


def steps_of(events: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    """The states that were left, in order; those that only read or choose are left out."""
    entered: dict[str, datetime] = {}
    for event in events:
        if "stateEnteredEventDetails" in event:
            entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
        elif "stateExitedEventDetails" in event:
            name = event["stateExitedEventDetails"]["name"]
            if not name.startswith(_QUIET):
                yield Step(name, (event["timestamp"] - entered[name]).total_seconds(), "")


def runs(stack: Stack) -> list[dict[str, Any]]:
    """The newest runs first: name, status, when they began and ended, and how."""
    arn = stack.outputs["RetrainMachineArn"]
    found = stack.client("stepfunctions").list_executions(stateMachineArn=arn, maxResults=20)["executions"]
    return [
        {
            "run": one["name"],
            "status": one["status"],
            "began": one["startDate"].isoformat(timespec="seconds"),
            **_ended(stack, one["name"], one["status"])._asdict(),
            **({"text": " ".join(now(stack, one["name"]))} if one["status"] == RUNNING else {}),
        }
        for one in found
    ]


def running(stack: Stack) -> set[str]:
    """The names of the runs that have begun and not ended: one, or none."""
    found = stack.client("stepfunctions").list_executions(
        stateMachineArn=stack.outputs["RetrainMachineArn"], statusFilter=RUNNING
    )
    return {one["name"] for one in found["executions"]}


def answer(stack: Stack, run: str, refusal: str | None) -> None:
    """Let a run that waits for a person go on, or end it; InvalidInputError if it does not wait."""
    key = {"pk": {"S": PK}, "sk": {"S": token_sk(run)}}
    kept = stack.client("dynamodb").get_item(TableName=stack.outputs["MonitorTableName"], Key=key).get("Item")
    if kept is None:
        raise InvalidInputError(
            f"{run}: no such run waits for a person; `streamscore retrain runs` lists runs"
        )
    states, token = stack.client("stepfunctions"), kept["token"]["S"]
    try:
        if refusal is None:
            states.send_task_success(taskToken=token, output="{}")
        else:
            states.send_task_failure(taskToken=token, error="Refused", cause=refusal)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"}:
            raise InvalidInputError(f"{run}: does not wait any more: it was answered, or ended") from error
        raise


def _status(stack: Stack, run: str) -> str:
    return str(_described(stack, run)["status"])


def _described(stack: Stack, run: str) -> dict[str, Any]:
    try:
        found = stack.client("stepfunctions").describe_execution(executionArn=_arn(stack, run))
    except ClientError as error:
        if error.response["Error"]["Code"] in _NO_RUN:
            raise InvalidInputError(f"{run}: no such run; `streamscore retrain runs` lists them") from error
        raise
    return dict(found)


def _arn(stack: Stack, run: str) -> str:
    return execution_arn(stack.outputs["RetrainMachineArn"], run)


def _history(stack: Stack, run: str) -> list[dict[str, Any]]:
    pages = stack.client("stepfunctions").get_paginator("get_execution_history")
    found = pages.paginate(executionArn=_arn(stack, run), includeExecutionData=False)
    return [event for page in found for event in page["events"]]


def _note(stack: Stack, run: str, name: str) -> str:
    return str(result_of(stack, run, f"{name}.json").get("text", "")) if name in FOUND else ""


def _ended(stack: Stack, run: str, status: str) -> Ended:
    told = result_of(stack, run, "outcome.json")
    outcome = str(told.get("outcome", "")) if status != RUNNING else ""
    return Ended(status, outcome, str(told.get("text", "")), str(told.get("model", "")))


def result_of(stack: Stack, run: str, name: str) -> dict[str, Any]:
    """What a run left under that name; {} if nothing."""
    data = bundles.fetch(stack.client("s3"), stack.outputs["DataBucketName"], object_key(run, name))
    return dict(json.loads(data)) if data else {}
