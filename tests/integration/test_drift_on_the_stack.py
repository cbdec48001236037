"""A shift in a whole stack's decisions: its alarm goes off within two windows, and what drifted is named.

Windows go through the real functions' code paths: Lambda's events into the windows' function, whose items the
schedule's function reads; both run under the stack's runtime host, and the alarms are those of the template.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pytest

from monitor.times import HOUR_S, WEEK_S, WINDOW_S, floor, iso
from streamscore.local import stack as stacks
from tests import quiet_days
from tests.decision_images import batch, change
from tests.integration.alarmed import call, emitted, moves, put_at_rest, told
from tests.monitored import publish
from tests.quiet_days import SHIFTS, payments

YESTERDAY_S = floor(datetime.now(UTC).timestamp(), HOUR_S) - 26 * HOUR_S + 20 * 60
"""Some moment of yesterday that is no whole hour."""
VERDICTS = ("FeaturesDrifted", "ScoreDrifted")
ALARMS = tuple(f"{name}Alarm" for name in VERDICTS)


class Case(NamedTuple):
    """A shift: when its second window ends, decisions a window, frauds before it, and what it is to raise."""

    shift: str
    until_s: int
    a_window: int
    frauds: float
    alarm: str
    features: list[str]
    finding: tuple[str, str]


CASES = [  # the score's first: a later look at features would find their alarm on already
    Case(
        "prior doubled", YESTERDAY_S - 4 * HOUR_S, 2_500, 0.1, "ScoreDriftedAlarm", [],
        ("score", "prediction_rate"),
    ),
    Case(
        "gone", YESTERDAY_S - 2 * HOUR_S, 500, 0.01, "FeaturesDriftedAlarm", ["recent"],
        ("recent", "missing"),
    ),
    Case("scaled", YESTERDAY_S, 2_500, 0.01, "FeaturesDriftedAlarm", ["amount"], ("amount", "mean")),
]  # fmt: skip


@pytest.fixture(scope="module")
def version(stack: stacks.Stack) -> Iterator[str]:
    """A model of five features that is promoted."""
    version, pointer = publish(
        stack.client("s3"), stack.outputs["DataBucketName"], quiet_days.trained(), quiet_days.SPEC
    )
    name = f"{stack.outputs['PointerPrefix']}/champion"
    stack.client("ssm").put_parameter(Name=name, Value=pointer, Type="String", Overwrite=True)
    stack.start()
    yield version
    stack.stop()
    stack.client("ssm").delete_parameter(Name=name)


@pytest.fixture(scope="module")
def tell(stack: stacks.Stack) -> Iterator[Any]:
    """What the bus says of drift, through a rule of its own."""
    sqs, events, bus = stack.client("sqs"), stack.client("events"), stack.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName="drift-told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="drift-told", EventBusName=bus, EventPattern='{"detail-type": ["DriftFound"]}')
    events.put_targets(Rule="drift-told", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    yield lambda: [json.loads(body)["detail"] for body in told(stack, queue)]
    events.remove_targets(Rule="drift-told", EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name="drift-told", EventBusName=bus)
    sqs.delete_queue(QueueUrl=queue)


def count(stack: stacks.Stack, start_s: int, columns: quiet_days.Columns) -> None:
    """A window of decisions, from its first event to its last."""
    records = [change(image, sequence=start_s) for image in quiet_days.images(columns, start_s + 60)]
    state = call(stack, "MonitorWindows", batch(records, start=iso(start_s)))["state"]
    call(stack, "MonitorWindows", batch([], state, start=iso(start_s), final=True))


def look(stack: stacks.Stack, until_s: int) -> dict[str, Any]:
    """What the schedule's function finds two minutes after a window's end."""
    return call(stack, "MonitorSchedule", {"scheduled_time": iso(until_s + 120)})


def play(stack: stacks.Stack, case: Case) -> None:
    """Three windows a week ago, and the first of the same three now: nothing has happened yet."""
    random = np.random.default_rng(7)
    first_s = case.until_s - 3 * WINDOW_S
    for start_s in (*range(first_s - WEEK_S, case.until_s - WEEK_S, WINDOW_S), first_s):
        count(stack, start_s, payments(start_s, case.a_window, random, frauds=case.frauds))


def shift(stack: stacks.Stack, case: Case) -> list[dict[str, Any]]:
    """From the middle of the second window on, it has; what the run after each window finds."""
    random, looks = np.random.default_rng(8), []
    broken, factor = SHIFTS[case.shift]
    for start_s, of_it in (
        (case.until_s - 2 * WINDOW_S, case.a_window // 2),
        (case.until_s - WINDOW_S, case.a_window),
    ):
        before = payments(start_s, case.a_window - of_it, random, frauds=case.frauds)
        after = broken(payments(start_s, of_it, random, frauds=case.frauds * factor))
        count(stack, start_s, {name: np.concatenate([before[name], after[name]]) for name in before})
        looks.append(look(stack, start_s + WINDOW_S))
    return looks


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.shift)
def test_a_shift_raises_its_alarm_within_two_windows_and_is_named(
    stack: stacks.Stack, version: str, tell: Any, case: Case
) -> None:
    play(stack, case)
    put_at_rest(stack, *ALARMS)
    before = emitted(stack, *VERDICTS)
    quiet = look(stack, case.until_s - 2 * WINDOW_S)
    assert (quiet["judged"], quiet["found"], quiet["reference"]) == (True, [], "seasonal")
    assert (tell(), emitted(stack, *VERDICTS)) == ([], before)
    looks = shift(stack, case)
    name, kind = case.finding
    assert f"{name}: {kind}" in looks[-1]["found"]
    found = sum(1 for one in looks if one["found"])
    emits = {verdict: value - before[verdict] for verdict, value in emitted(stack, *VERDICTS).items()}
    assert emits == {verdict: found * (f"{verdict}Alarm" == case.alarm) for verdict in VERDICTS}
    messages = told(stack)
    assert [of for of, state in moves(messages) if of in ALARMS and state == "ALARM"] == [case.alarm]
    [event] = tell()
    assert (event["model"], event["reference"], event["features"]) == (version, "seasonal", case.features)
    assert (event["retrain"], "retraining" in event["text"]) == (False, False), "two windows pass"
    assert case.finding in {(finding["name"], finding["kind"]) for finding in event["findings"]}
    assert [event["text"] in body for body in messages if "Today: drift" in body] == [True]
