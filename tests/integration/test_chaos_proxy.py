"""What a client sees of each fault, and what the service has seen."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from streamscore.chaos import world
from streamscore.chaos.proxy import Proxy
from streamscore.chaos.schedule import NOTHING, Fault, Schedule
from streamscore.local.emulator import Emulator
from tests.conftest import client_of
from tests.integration.test_emulator import table_with_stream


@pytest.fixture
def through(emulator: Emulator) -> Iterator[Callable[..., Any]]:
    """A client that goes through a proxy which does one thing to every call: `through(fault, "dynamodb")`."""
    proxies: list[Proxy] = []

    def made(fault: Fault, service: str) -> Any:
        proxies.append(Proxy(emulator.endpoint, Schedule(0, faults=((fault, 1.0),))))
        return boto3.client(
            service,
            endpoint_url=proxies[-1].endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    yield made
    for proxy in proxies:
        proxy.close()


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.NONE, None, True),
        (Fault.SLOW, None, True),
        (Fault.THROTTLED, "ProvisionedThroughputExceededException", False),
        (Fault.FAILED, "InternalServerError", False),
        (Fault.RESET, "Connection", False),
        (Fault.LOST, "Connection", True),
    ],
)
def test_a_write_under_each_fault(
    through: Callable[..., Any], emulator: Emulator, fault: Fault, error: str | None, done: bool
) -> None:
    table = table_with_stream(emulator.endpoint)
    write = lambda: through(fault, "dynamodb").put_item(TableName=table, Item={"pk": {"S": "a"}})  # noqa: E731
    if error is None:
        write()
    else:
        with pytest.raises((botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError)) as told:
            write()
        assert error in f"{type(told.value).__name__} {told.value}"
    found = client_of(emulator.endpoint, "dynamodb").scan(TableName=table)["Items"]
    assert bool(found) is done


def test_a_batch_is_done_in_part(through: Callable[..., Any], emulator: Emulator) -> None:
    table = table_with_stream(emulator.endpoint)
    client = through(Fault.PARTIAL, "dynamodb")
    statements = [
        {"Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': ?}}", "Parameters": [{"S": key}]}
        for key in "abc"
    ]
    replies = client.batch_execute_statement(Statements=statements)["Responses"]
    assert [one.get("Error", {}).get("Code") for one in replies] == [None, None, "ThrottlingError"]
    asked = {table: {"Keys": [{"pk": {"S": key}} for key in "ab"]}}
    reply = client.batch_get_item(RequestItems=asked)
    assert len(reply["Responses"][table]) == len(reply["UnprocessedKeys"][table]["Keys"]) == 1
    entries = [{"Source": "s", "DetailType": "t", "Detail": "{}"}] * 2
    assert through(Fault.PARTIAL, "events").put_events(Entries=entries)["FailedEntryCount"] == 1
    client_of(emulator.endpoint, "kinesis").create_stream(StreamName=f"s-{table}", ShardCount=1)
    records = [{"Data": key.encode(), "PartitionKey": key} for key in "ab"]
    reply = through(Fault.PARTIAL, "kinesis").put_records(StreamName=f"s-{table}", Records=records)
    codes = [one.get("ErrorCode") for one in reply["Records"]]
    assert (reply["FailedRecordCount"], codes) == (1, [None, "ProvisionedThroughputExceededException"])


def test_models_and_pointers_can_always_be_read(through: Callable[..., Any], emulator: Emulator) -> None:
    client_of(emulator.endpoint, "s3").create_bucket(Bucket="spared")
    client_of(emulator.endpoint, "s3").put_object(Bucket="spared", Key="k", Body=b"model")
    s3 = through(Fault.FAILED, "s3")
    assert s3.get_object(Bucket="spared", Key="k")["Body"].read() == b"model"
    with pytest.raises(botocore.exceptions.ClientError, match="InternalError"):
        s3.put_object(Bucket="spared", Key="k", Body=b"other")
    assert through(Fault.FAILED, "ssm").get_parameters(Names=["/none"])["InvalidParameters"] == ["/none"]


def test_a_clock_is_wrong_by_no_more_than_the_schedule_says_and_not_without_one() -> None:
    code = "import os, time; print(time.time() - float(os.popen('date +%s.%N').read()))"

    def error_s(schedule: Schedule) -> float:
        wrong = {
            "STREAMSCORE_CHAOS_SKEW_S": str(schedule.skew_s),
            "STREAMSCORE_CHAOS_SEED": str(schedule.seed),
        }
        path = str(Path(world.__file__).with_name("skewed"))
        told = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **wrong, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        )
        return float(told.stdout)

    far = Schedule(0, skew_s=100_000.0)
    errors_s = [error_s(far) for _ in range(3)]
    assert len({round(error / 100) for error in errors_s}) > 1, "each process has its own"
    assert max(map(abs, errors_s)) < 100_001
    assert abs(error_s(NOTHING)) < 30
