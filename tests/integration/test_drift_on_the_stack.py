"""A shift in a whole stack's decisions: its alarm goes off within two windows, and what drifted is named.

Windows go through the real functions' code paths: Lambda's events into the windows' function, whose items the
schedule's function reads; both run under the stack's runtime host, and the alarms are those of the template.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from monitor.times import WINDOW_S, iso
from streamscore.local import stack as stacks
from tests import quiet_days
from tests.decision_images import batch, change
from tests.integration.alarmed import call, emitted, moves, put_at_rest, told
from tests.monitored import publish
from tests.shifts import CASES, Case, play_quiet, play_shift

VERDICTS = ("FeaturesDrifted", "ScoreDrifted")
ALARMS = tuple(f"{name}Alarm" for name in VERDICTS)


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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.shift)
def test_a_shift_raises_its_alarm_within_two_windows_and_is_named(
    stack: stacks.Stack, version: str, tell: Any, case: Case
) -> None:
    play_quiet(case, partial(count, stack))
    up_again = put_at_rest(stack, *ALARMS)
    before = emitted(stack, *VERDICTS)
    quiet = look(stack, case.until_s - 2 * WINDOW_S)
    assert (quiet["judged"], quiet["found"], quiet["reference"]) == (True, [], "seasonal")
    assert (tell(), emitted(stack, *VERDICTS)) == ([], before)
    looks = play_shift(case, partial(count, stack), partial(look, stack))
    name, kind = case.finding
    assert f"{name}: {kind}" in looks[-1]["found"]
    found = sum(1 for one in looks if one["found"])
    emits = {verdict: value - before[verdict] for verdict, value in emitted(stack, *VERDICTS).items()}
    assert emits == {verdict: found * (verdict == case.verdict) for verdict in VERDICTS}
    messages = told(stack)
    # an alarm's period may still hold what a case before put there: the verdicts are told apart above
    assert (f"{case.verdict}Alarm", "ALARM") in moves(up_again + messages)
    [event] = tell()
    assert (event["model"], event["reference"], event["features"]) == (version, "seasonal", case.features)
    assert (event["retrain"], "retraining" in event["text"]) == (False, False), "two windows pass"
    assert case.finding in {(finding["name"], finding["kind"]) for finding in event["findings"]}
    assert [event["text"] in body for body in messages if "Today: drift" in body] == [True]
