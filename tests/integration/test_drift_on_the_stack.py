"""A shift in a whole stack's decisions: the alarm's metric, the bus names the feature, within two windows.

Windows go through the real functions' code paths: Lambda's events into the windows' function, whose items the
schedule's function reads; both run under the stack's runtime host.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from monitor.times import HOUR_S, WEEK_S, WINDOW_S, floor, iso, seconds
from streamscore import monitoring
from streamscore.local import stack as stacks
from tests.decision_images import batch, change
from tests.monitored import amounts, images, publish

A_WINDOW = 1_500
UNTIL_S = floor(datetime.now(UTC).timestamp(), HOUR_S) - 26 * HOUR_S + 20 * 60
"""Some moment of yesterday that is no whole hour."""


@pytest.fixture(scope="module")
def version(stack: stacks.Stack) -> Iterator[str]:
    """A model that is promoted, whose last week was quiet."""
    version, pointer = publish(stack.client("s3"), stack.outputs["DataBucketName"])
    name = f"{stack.outputs['PointerPrefix']}/champion"
    stack.client("ssm").put_parameter(Name=name, Value=pointer, Type="String", Overwrite=True)
    for n, start_s in enumerate(range(UNTIL_S - WEEK_S - HOUR_S, UNTIL_S - WEEK_S, WINDOW_S)):
        count(stack, version, start_s, amounts(A_WINDOW // 3, 100 + n))
    stack.start()
    yield version
    stack.stop()
    stack.client("ssm").delete_parameter(Name=name)


@pytest.fixture
def told(stack: stacks.Stack) -> Iterator[Any]:
    """What the bus says of drift, through a rule of its own."""
    sqs, events, bus = stack.client("sqs"), stack.client("events"), stack.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName="drift-told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="drift-told", EventBusName=bus, EventPattern='{"detail-type": ["DriftFound"]}')
    events.put_targets(Rule="drift-told", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"])["detail"] for message in messages]

    yield read
    events.remove_targets(Rule="drift-told", EventBusName=bus, Ids=["queue"])
    events.delete_rule(Name="drift-told", EventBusName=bus)
    sqs.delete_queue(QueueUrl=queue)


def call(stack: stacks.Stack, function: str, event: dict[str, Any]) -> dict[str, Any]:
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs[f"{function}FunctionName"], Payload=json.dumps(event)
    )
    found: dict[str, Any] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, found
    return found


def count(stack: stacks.Stack, version: str, start_s: int, values: np.ndarray) -> None:
    """A window of decisions, from its first event to its last."""
    records = [change(image, sequence=start_s) for image in images(version, values, scored_at_s=start_s + 60)]
    state = call(stack, "MonitorWindows", batch(records, start=iso(start_s)))["state"]
    call(stack, "MonitorWindows", batch([], state, start=iso(start_s), final=True))


def look(stack: stacks.Stack, until_s: int) -> dict[str, Any]:
    return call(stack, "MonitorSchedule", {"scheduled_time": iso(until_s + 120)})


def metric(stack: stacks.Stack, name: str) -> list[float]:
    """What CloudWatch has of a metric of the schedule's, in order."""
    stack.drain()
    points = stack.client("cloudwatch").get_metric_statistics(
        Namespace="streamscore",
        MetricName=name,
        Dimensions=[{"Name": "service", "Value": "monitor_schedule"}, {"Name": "stage", "Value": "dev"}],
        StartTime=datetime(2020, 1, 1, tzinfo=UTC),
        EndTime=datetime(2100, 1, 1, tzinfo=UTC),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return [point["Maximum"] for point in sorted(points, key=lambda point: point["Timestamp"])]


def test_a_scaled_feature_is_named_at_the_run_after_two_windows_and_only_then(
    stack: stacks.Stack, version: str, told: Any
) -> None:
    quiet_s, half_s, whole_s = (UNTIL_S - n * WINDOW_S for n in (3, 2, 1))
    for n, start_s in enumerate(range(UNTIL_S - HOUR_S, half_s, WINDOW_S)):
        count(stack, version, start_s, amounts(A_WINDOW // 3, n))
    quiet = look(stack, half_s)
    assert (quiet["judged"], quiet["found"], quiet["reference"]) == (True, [], "seasonal"), quiet_s
    count(stack, version, half_s, np.r_[amounts(A_WINDOW // 2, 50), amounts(A_WINDOW // 2, 51) * 1.5])
    count(stack, version, whole_s, amounts(A_WINDOW, 52) * 1.5)
    found = look(stack, UNTIL_S)
    assert {name.partition(":")[0] for name in found["found"]} >= {"amount"}
    [event] = told()
    assert event["features"] == ["amount"]
    assert (event["model"], event["until"], event["reference"]) == (version, iso(UNTIL_S), "seasonal")
    assert metric(stack, "FeaturesDrifted")[-1] == 1.0
    repeated = look(stack, UNTIL_S)
    assert repeated["found"] == found["found"]


def test_cloudwatch_and_the_command_say_the_same(stack: stacks.Stack, version: str) -> None:
    found = call(stack, "MonitorSchedule", {"since": iso(UNTIL_S - HOUR_S), "until": iso(UNTIL_S)})
    since, until = (datetime.fromtimestamp(s, tz=UTC) for s in (UNTIL_S - HOUR_S, UNTIL_S))
    looked = monitoring.watched(stack, since, until).champion.looked
    assert found["found"] == [f"{finding.name}: {finding.kind}" for finding in looked.verdict.findings]
    assert metric(stack, "ScorePsi")[-1] == pytest.approx(looked.whole.comparison.score.psi)
    assert metric(stack, "WorstFeaturePsi")[-1] == pytest.approx(looked.whole.comparison.features[0].psi)
    assert seconds(found["until"]) == UNTIL_S
