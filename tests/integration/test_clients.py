"""Our clients say to the emulator what botocore says, and hear what it hears."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from common import aws
from common.errors import InvalidInputError, NoAnswerError, ServiceError
from monitor.spending import Spending
from streamscore.local.emulator import REGION, Emulator
from streamscore.room_client import RoomClient

KEY = "quarantine/2026/11/24/a b+c=$~é&<x>.gz"
METERED_AT = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
BLOB = bytes(range(256)) * 999


@pytest.fixture
def ours(emulator: Emulator) -> Callable[..., Any]:
    environ = {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    return lambda service, attempts=1: aws.client(service, attempts, environ)


@pytest.fixture
def name() -> str:
    return f"clients-{uuid.uuid4().hex[:8]}"


def test_an_object_goes_in_and_comes_out_whatever_its_name(ours, client, name):
    client("s3").create_bucket(Bucket=name)
    ours("s3").put_object(Bucket=name, Key=KEY, Body=BLOB)
    assert client("s3").get_object(Bucket=name, Key=KEY)["Body"].read() == BLOB
    assert ours("s3").get_object(Bucket=name, Key=KEY)["Body"].read() == BLOB


def test_an_object_that_is_not_there_says_so_like_botocores(ours, client, name):
    client("s3").create_bucket(Bucket=name)
    for s3 in (ours("s3"), RoomClient(client("s3"))):
        with pytest.raises(ServiceError) as refused:
            s3.get_object(Bucket=name, Key="none")
        assert (refused.value.code, refused.value.status) == ("NoSuchKey", 404)


def test_parameters_that_exist_are_read(ours, client, name):
    client("ssm").put_parameter(Name=f"/{name}/champion", Value="v1", Type="String")
    answer = ours("ssm").get_parameters(Names=[f"/{name}/champion", f"/{name}/none"])
    assert [(p["Name"], p["Value"]) for p in answer["Parameters"]] == [(f"/{name}/champion", "v1")]


def test_a_record_is_put_with_its_bytes(ours, client, name):
    client("kinesis").create_stream(StreamName=name, ShardCount=1)
    put = ours("kinesis").put_record(StreamName=name, Data=BLOB[:300], PartitionKey="k")
    iterator = client("kinesis").get_shard_iterator(
        StreamName=name, ShardId=put["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    (record,) = client("kinesis").get_records(ShardIterator=iterator)["Records"]
    assert (record["Data"], record["SequenceNumber"]) == (BLOB[:300], put["SequenceNumber"])


def test_an_event_is_put(ours, client, name):
    client("events").create_event_bus(Name=name)
    entry = {"Source": "s", "DetailType": "d", "Detail": "{}", "EventBusName": name, "Time": 1.8e9}
    answer = ours("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0
    assert answer["Entries"][0]["EventId"]


def test_a_message_is_sent_received_and_taken_out(ours, client, name):
    queue = {"QueueUrl": client("sqs").create_queue(QueueName=name)["QueueUrl"]}
    assert ours("sqs").send_message(**queue, MessageBody="é")["MessageId"]
    (message,) = ours("sqs").receive_message(**queue, MaxNumberOfMessages=10)["Messages"]
    assert message["Body"] == "é"
    assert ours("sqs").delete_message(**queue, ReceiptHandle=message["ReceiptHandle"]) is not None
    assert not ours("sqs").receive_message(**queue).get("Messages")


def test_a_secret_is_read(ours, client, name):
    client("secretsmanager").create_secret(Name=name, SecretString="hush")
    assert ours("secretsmanager").get_secret_value(SecretId=name)["SecretString"] == "hush"


def test_what_is_refused_has_botocores_code(ours, client, name):
    for dynamodb in (ours("dynamodb"), RoomClient(client("dynamodb"))):
        with pytest.raises(ServiceError) as refused:
            dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}})
        assert (refused.value.code, refused.value.status) == ("ResourceNotFoundException", 400)
        assert "put_item" in str(refused.value) or "PutItem" in str(refused.value)


def test_nobody_there_is_no_answer_at_every_try(ours):
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": REGION}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for service, call in (("ssm", {"Names": ["a"]}), ("secretsmanager", {"SecretId": "a"})):
        operation = {"ssm": "get_parameters", "secretsmanager": "get_secret_value"}[service]
        with pytest.raises(NoAnswerError):
            getattr(aws.client(service, 2, environ | keys), operation)(**call)


def test_a_client_without_credentials_is_refused_when_it_is_made():
    with pytest.raises(InvalidInputError, match="AWS_ACCESS_KEY_ID"):
        aws.client("s3", environ={"AWS_REGION": REGION})


def test_many_calls_of_botocore_keep_their_order(client, name):
    requests = [{"Name": f"/{name}/{n}", "Value": str(n), "Type": "String"} for n in range(12)]
    calls = RoomClient(client("ssm")).each("put_parameter", requests, 4)
    assert all(call()["Version"] == 1 for call in calls)


def test_metrics_are_read_back_by_the_hour(ours, client, name):
    for service, metric, value in (
        ("scoring", "EstimatedCostUSD", 0.02),
        ("scoring", "DecisionsMade", 1_000),
    ):
        dimensions = [{"Name": "service", "Value": service}, {"Name": "stage", "Value": name}]
        data = {"MetricName": metric, "Dimensions": dimensions, "Timestamp": METERED_AT, "Value": value}
        client("cloudwatch").put_metric_data(Namespace="streamscore", MetricData=[data])
    for cloudwatch in (ours("monitoring"), RoomClient(client("cloudwatch"))):
        spent = Spending(cloudwatch, name).between("2026-11-24T16:00:00Z", "2026-11-24T17:00:00Z")
        assert spent is not None
        assert (spent.decisions, spent.per_million_usd) == (1_000, pytest.approx(20.0))
        assert Spending(cloudwatch, name).between("2026-11-24T18:00:00Z", "2026-11-24T19:00:00Z") == (0.0, 0)
