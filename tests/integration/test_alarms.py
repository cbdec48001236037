"""Alarms in the emulator: a data point moves an alarm, and the alarm tells the machines' queue."""

import json
from typing import Any

import pytest

from streamscore.local import stack as stacks
from tests.integration.alarmed import moves, names, put_at_rest, told

PAGED = {"AlarmDescription": [{"prefix": "Now: "}]}


@pytest.fixture(autouse=True)
def nothing_is_left_to_tell(stack: stacks.Stack) -> None:
    """Metrics of what ran before come no later than this."""
    stack.drain()


def emit(stack: stacks.Stack, name: str, value: float, namespace: str = "streamscore", **of: str) -> None:
    dimensions = [{"Name": key, "Value": given} for key, given in of.items()]
    datum = {"MetricName": name, "Dimensions": dimensions, "Value": value}
    stack.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def test_a_record_that_cannot_be_read_reaches_the_queue(stack: stacks.Stack) -> None:
    put_at_rest(stack, "RecordsQuarantinedAlarm")
    stack.client("kinesis").put_record(
        StreamName=stack.outputs["EventsStreamName"], Data=b"not JSON", PartitionKey="1"
    )
    stack.start()
    stack.drain()
    stack.stop()
    assert ("RecordsQuarantinedAlarm", "ALARM") in moves(told(stack))


def test_a_function_that_fails_again_and_again_is_told(stack: stacks.Stack) -> None:
    put_at_rest(stack, "MonitorScheduleErrorsAlarm")
    for _ in range(3):  # as often as EventBridge tries a look that fails
        reply = stack.client("lambda").invoke(
            FunctionName=stack.outputs["MonitorScheduleFunctionName"], Payload=b'{"since": "no moment"}'
        )
        assert "FunctionError" in reply
    stack.drain()
    assert ("MonitorScheduleErrorsAlarm", "ALARM") in moves(told(stack))


def test_the_api_and_the_stream_have_alarms_of_their_own(stack: stacks.Stack) -> None:
    put_at_rest(stack, "ModelRejectedAlarm", "ApiModelRejectedAlarm")
    emit(stack, "ModelRejected", 1, service="scoring_api", stage="dev")
    found = moves(told(stack))
    assert ("ApiModelRejectedAlarm", "ALARM") in found
    assert not [name for name, _ in found if name == "ModelRejectedAlarm"]


def test_another_stages_trouble_is_not_ours(stack: stacks.Stack) -> None:
    put_at_rest(stack, "ApiScoresMissingAlarm")
    emit(stack, "ScoresMissing", 1, service="scoring_api", stage="prod")
    assert not [name for name, _ in moves(told(stack)) if name == "ApiScoresMissingAlarm"]


def test_late_features_are_told_once_by_the_composite_alarm(stack: stacks.Stack) -> None:
    cloudwatch = stack.client("cloudwatch")
    behind = names(stack, "StreamFeaturesBehindAlarm", "ScoringBehindAlarm")
    put_at_rest(stack, "StreamFeaturesBehindAlarm", "ScoringBehindAlarm", "DecisionsSlowAlarm")
    for name in behind:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    assert moves(told(stack)) == [("DecisionsLateAlarm", "ALARM")]
    for name in behind:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    assert moves(told(stack)) == [("DecisionsLateAlarm", "OK")]


def test_a_pager_may_subscribe_to_what_cannot_wait(stack: stacks.Stack) -> None:
    put_at_rest(stack, "ScoresMissingAlarm", "UndeliveredAlarm")
    sqs, sns = stack.client("sqs"), stack.client("sns")
    url = sqs.create_queue(QueueName="pager")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps(PAGED)}
    sns.subscribe(
        TopicArn=stack.outputs["AlarmTopicArn"],
        Protocol="sqs",
        Endpoint=arn,
        Attributes=policy | {"RawMessageDelivery": "true"},
    )
    emit(stack, "ScoresMissing", 3, service="scoring", stage="dev")
    (undelivered,) = [q for q in sqs.list_queues()["QueueUrls"] if "UndeliveredQueue" in q]
    lies = {"QueueName": undelivered.rsplit("/", 1)[1]}
    emit(stack, "ApproximateNumberOfMessagesVisible", 1, "AWS/SQS", **lies)
    everything, paged = moves(told(stack)), moves(told(stack, url))
    assert {("ScoresMissingAlarm", "ALARM"), ("UndeliveredAlarm", "ALARM")} <= set(everything)
    assert ("ScoresMissingAlarm", "ALARM") in paged
    assert not [name for name, _ in paged if name == "UndeliveredAlarm"]


def test_the_bus_tells_what_drifted(stack: stacks.Stack) -> None:
    detail: dict[str, Any] = {
        "model": "91c2d3e4f5a60718",
        "since": "2026-11-28T10:00:00Z",
        "until": "2026-11-28T11:00:00Z",
        "text": "amount: PSI 0.41",
    }
    entry = {
        "EventBusName": stack.outputs["EventBusName"],
        "Source": "streamscore",
        "DetailType": "DriftFound",
        "Detail": json.dumps(detail),
    }
    stack.client("events").put_events(Entries=[entry])
    assert (
        '"Today: drift in model 91c2d3e4f5a60718 between 2026-11-28T10:00:00Z and 2026-11-28T11:00:00Z. '
        'amount: PSI 0.41"'
    ) in told(stack)
