"""What a stack's monitor emits, what its alarms do, and what its topic told machines."""

import json
from datetime import UTC, datetime
from typing import Any

from streamscore.local import stack as stacks


def told(stack: stacks.Stack, queue: str | None = None) -> list[str]:
    """What the topic told since it was last asked, once alarms know every metric that was put."""
    stack.client("cloudwatch").describe_alarms(MaxRecords=1)
    sqs, url = stack.client("sqs"), queue or stack.outputs["AlarmQueueUrl"]
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def moves(bodies: list[str]) -> list[tuple[str, str]]:
    """Which alarms went where, by logical id."""
    found = [json.loads(body) for body in bodies if body.startswith("{")]
    return [(alarm["AlarmName"].split("-")[2], alarm["NewStateValue"]) for alarm in found]


def names(stack: stacks.Stack, *logical: str) -> list[str]:
    """CloudWatch's names of alarms by their logical ids."""
    pages = stack.client("cloudwatch").get_paginator("describe_alarms").paginate()
    every = [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]
    found = [name for name in every if name.split("-")[2] in logical]
    assert len(found) == len(logical)
    return found


def put_at_rest(stack: stacks.Stack, *logical: str) -> list[str]:
    """Whatever other tests did to these alarms is over, and told; what the topic told from then on.

    An alarm whose period still holds what they did goes up again at once, and tells it here.
    """
    told(stack)
    for name in names(stack, *logical):
        stack.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    return told(stack)


def call(stack: stacks.Stack, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """What a function answers; an error fails the test."""
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs[f"{function}FunctionName"], Payload=json.dumps(event)
    )
    found: dict[str, Any] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, found
    return found


def emitted(stack: stacks.Stack, *names: str, statistic: str = "Sum") -> dict[str, float]:
    """Sums of what CloudWatch has of the schedule's metrics: what comes on top is what a look emitted."""
    stack.drain()
    return {name: sum(point[statistic] for point in _points(stack, name)) for name in names}


def _points(stack: stacks.Stack, name: str) -> list[dict[str, float]]:
    found: list[dict[str, float]] = stack.client("cloudwatch").get_metric_statistics(
        Namespace="streamscore",
        MetricName=name,
        Dimensions=[{"Name": "service", "Value": "monitor_schedule"}, {"Name": "stage", "Value": "dev"}],
        StartTime=datetime(2020, 1, 1, tzinfo=UTC),
        EndTime=datetime(2100, 1, 1, tzinfo=UTC),
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    return found
