"""The emulator runs where we say and ends with us; each of our mends works and is still needed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from streamscore.local import emulator as emulators
from streamscore.local import reshard
from streamscore.local.function_process import Outcome
from streamscore.local.hub import Hub
from streamscore.local.processes import ProcessIdentity
from tests.conftest import client_of, poll_until

ONE_KB = b"x" * 1024


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    running = emulators.start(tmp_path_factory.mktemp("shipped"), as_shipped=True)
    yield running
    running.stop()


def table_with_stream(endpoint: str) -> str:
    name = f"t{uuid4().hex}"
    client_of(endpoint, "dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return name


def stream_records(endpoint: str, table: str) -> list[Any]:
    arn = client_of(endpoint, "dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    streams = client_of(endpoint, "dynamodbstreams")
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    first = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records: list[Any] = []
    iterator = first["ShardIterator"]
    while (page := streams.get_records(ShardIterator=iterator))["Records"]:
        records += page["Records"]
        iterator = page["NextShardIterator"]
    return records


def insert(endpoint: str, table: str, keys: str, size: int = 1) -> Any:
    statements = [
        {
            "Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'out': ?}}",
            "Parameters": [{"S": key}, {"B": ONE_KB * size}],
        }
        for key in keys
    ]
    return client_of(endpoint, "dynamodb").batch_execute_statement(
        Statements=statements, ReturnConsumedCapacity="TOTAL"
    )


def test_partiql_writes_reach_the_stream_in_order(emulator: emulators.Emulator) -> None:
    table = table_with_stream(emulator.endpoint)
    insert(emulator.endpoint, table, "abca")  # the second a is refused, and leaves no record
    client_of(emulator.endpoint, "dynamodb").execute_statement(
        Statement=f'UPDATE "{table}" SET "out" = ? WHERE pk = ?', Parameters=[{"B": b"new"}, {"S": "b"}]
    )
    client_of(emulator.endpoint, "dynamodb").execute_statement(
        Statement=f'DELETE FROM "{table}" WHERE pk = ?', Parameters=[{"S": "c"}]
    )
    records = stream_records(emulator.endpoint, table)
    told = [(r["eventName"], r["dynamodb"]["Keys"]["pk"]["S"]) for r in records]
    assert told == [("INSERT", "a"), ("INSERT", "b"), ("INSERT", "c"), ("MODIFY", "b"), ("REMOVE", "c")]
    assert records[3]["dynamodb"]["NewImage"]["out"]["B"] == b"new"


def test_partiql_writes_cost_one_unit_a_started_kilobyte(emulator: emulators.Emulator) -> None:
    table = table_with_stream(emulator.endpoint)
    reply = insert(emulator.endpoint, table, "ab", size=3)
    assert reply["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": 8.0}]  # 3 KB and a key: 4 each
    grown = client_of(emulator.endpoint, "dynamodb").execute_statement(
        Statement=f'UPDATE "{table}" SET "out" = ? WHERE pk = ?',
        Parameters=[{"B": b"small"}, {"S": "a"}],
        ReturnConsumedCapacity="TOTAL",
    )
    assert grown["ConsumedCapacity"]["CapacityUnits"] == 4.0  # the larger of before and after


@pytest.mark.parametrize(("strong", "units"), [(True, 5.0), (False, 2.5)])
def test_batch_reads_cost_by_size_and_consistency(
    emulator: emulators.Emulator, strong: bool, units: float
) -> None:
    table = table_with_stream(emulator.endpoint)
    insert(emulator.endpoint, table, "ab", size=5)
    keys = [{"pk": {"S": key}} for key in "abz"]
    reply = client_of(emulator.endpoint, "dynamodb").batch_get_item(
        RequestItems={table: {"Keys": keys, "ConsistentRead": strong}}, ReturnConsumedCapacity="TOTAL"
    )
    assert reply["ConsumedCapacity"] == [{"TableName": table, "CapacityUnits": units}]


def test_the_mends_are_still_needed(shipped: emulators.Emulator) -> None:
    """When a line fails, upstream has mended it: delete our mend and the line."""
    table = table_with_stream(shipped.endpoint)
    assert insert(shipped.endpoint, table, "ab", size=3)["ConsumedCapacity"][0]["CapacityUnits"] == 2.0
    assert stream_records(shipped.endpoint, table) == []
    read = client_of(shipped.endpoint, "dynamodb").batch_get_item(
        RequestItems={table: {"Keys": [{"pk": {"S": "a"}}]}}, ReturnConsumedCapacity="TOTAL"
    )
    assert "ConsumedCapacity" not in read
    kinesis, name = client_of(shipped.endpoint, "kinesis"), f"s{uuid4().hex}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    poll_until(lambda: kinesis.list_shards(StreamName=name)["Shards"], "the stream is active")
    parent = reshard.split(kinesis, name)
    assert parent not in {shard["ShardId"] for shard in kinesis.list_shards(StreamName=name)["Shards"]}


def test_it_listens_on_the_loopback_only(emulator: emulators.Emulator) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    port = f":{emulator.port:04X}"
    addresses = {
        line.split()[1] for line in listening if line.split()[1].endswith(port) and line.split()[3] == "0A"
    }
    assert addresses == {f"0100007F{port}"}


def test_a_taken_port_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(emulators.EmulatorError, match=f"port {port} .* is taken.*--port"):
            emulators.start(tmp_path, port)


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, sys; from streamscore.local import emulator as e; "
        "print(e.start(pathlib.Path(sys.argv[1])).process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        check=False,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert done.returncode == -9
    pid = int(done.stdout)
    try:
        poll_until(lambda: not still_runs(pid), "the emulator is gone")
    finally:
        if still_runs(pid):  # a failed test must not leave it
            os.kill(pid, signal.SIGKILL)


def still_runs(pid: int) -> bool:
    try:
        return ProcessIdentity.of(pid).alive()
    except psutil.NoSuchProcess:
        return False


def alarm_after(endpoint: str, *points: tuple[str, float]) -> str:
    """The state of an alarm on what service `mine` counts, after points of some services."""
    cloudwatch, name = client_of(endpoint, "cloudwatch"), f"a{uuid4().hex}"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=name,
        MetricName="Failed",
        Dimensions=[{"Name": "service", "Value": "mine"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=2,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    for service, ago_s in points:
        datum = {
            "MetricName": "Failed",
            "Dimensions": [{"Name": "service", "Value": service}],
            "Timestamp": time.time() - ago_s,
            "Value": 1,
        }
        cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    state: str = alarm["StateValue"]
    return state


def test_an_alarm_looks_at_its_own_dimensions_period_by_period(emulator: emulators.Emulator) -> None:
    assert alarm_after(emulator.endpoint, ("other", 0), ("other", 70)) == "OK"
    assert alarm_after(emulator.endpoint, ("mine", 0)) == "OK"
    assert alarm_after(emulator.endpoint, ("mine", 70), ("mine", 0)) == "ALARM"


def test_upstream_still_takes_any_dimensions_and_all_periods_as_one(shipped: emulators.Emulator) -> None:
    assert alarm_after(shipped.endpoint, ("other", 0)) == "ALARM"
    assert alarm_after(shipped.endpoint, ("mine", 0)) == "ALARM"


def test_upstream_state_machines_still_know_no_sagemaker_and_no_names_of_errors(
    shipped: emulators.Emulator,
) -> None:
    hub = Hub()
    hub.invoke = lambda *_: Outcome(b'{"errorMessage": "later", "errorType": "TransientError"}', failed=True)
    made = client_of(shipped.endpoint, "lambda").create_function(
        FunctionName="failing",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/x",
        Handler="x.y",
        Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
        Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": f"{hub.url}/invoke"}},
    )
    jobs = error_of(shipped.endpoint, "arn:aws:states:::sagemaker:createTrainingJob.sync", {})
    assert "not yet implemented" in jobs["cause"]
    invoke = {"FunctionName": made["FunctionArn"], "Payload": {}}
    assert (
        error_of(shipped.endpoint, "arn:aws:states:::lambda:invoke", invoke)["error"]
        == "Runtime.HandlerError"
    )
    hub.close()


def error_of(endpoint: str, resource: str, parameters: dict[str, Any]) -> Any:
    """How an execution of this one task fails."""
    task = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    states = client_of(endpoint, "stepfunctions")
    machine = states.create_state_machine(
        name=f"m-{uuid4().hex[:8]}",
        definition=json.dumps({"StartAt": "Task", "States": {"Task": task}}),
        roleArn="arn:aws:iam::000000000000:role/x",
    )
    run = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]

    def found() -> Any:
        return states.describe_execution(executionArn=run)

    poll_until(lambda: found()["status"] == "FAILED", "the execution fails")
    return found()
