"""The real template runs on this machine as one stack, and leaves nothing behind."""

import fcntl
import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.errors import InvalidInputError
from stream_features.spec import from_json
from streamscore.local import stack as stacks
from streamscore.local.processes import ProcessIdentity
from tests.conftest import poll_until

CODE = """
import json, os

def handler(event, context):
    if event.get("fail"):
        raise LookupError("as asked")
    print(json.dumps({"_aws": {"Timestamp": 1795000000000, "CloudWatchMetrics": [
        {"Namespace": "streamscore", "Dimensions": [["service"]], "Metrics": [{"Name": "Seen"}]}]},
        "service": "test", "Seen": [1.0, 2.0]}))
    return {"root": os.environ["LAMBDA_TASK_ROOT"], "table": os.environ["STATE_TABLE"], "state": {}}
"""
HANDLERS = (
    "stream_features/handler",
    "scoring/handler",
    "scoring/api",
    "monitor/handler",
    "monitor/schedule",
)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Code whose functions all do the same little thing."""
    folder = tmp_path_factory.mktemp("code")
    for handler in HANDLERS:
        (folder / handler).parent.mkdir(exist_ok=True)
        (folder / handler).with_name("__init__.py").touch()
        (folder / f"{handler}.py").write_text(CODE)
    shutil.copy(Path(__file__).parents[2] / "src/features.toml", folder)
    return folder


@pytest.fixture(scope="module")
def small(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    root = tmp_path_factory.mktemp("small")
    yield stacks.up(root, code=code, port=0, detached=False)
    stacks.down(root)


def family(stack: stacks.Stack) -> list[psutil.Process]:
    supervisor = psutil.Process(stack.supervisor.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def test_functions_run_our_code_when_the_emulator_invokes_them(small: stacks.Stack) -> None:
    name = small.outputs["ScoringFunctionName"]
    reply = small.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    answer = json.load(reply["Payload"])
    assert "FunctionError" not in reply
    assert answer["root"] == str(small.state_dir / "code")
    assert answer["table"] == small.outputs["StateTableName"]


def test_a_function_error_is_one_for_the_caller(small: stacks.Stack) -> None:
    name = small.outputs["ScoringFunctionName"]
    reply = small.client("lambda").invoke(FunctionName=name, Payload=b'{"fail": true}')
    assert reply["FunctionError"] == "Unhandled"
    assert "as asked" in json.load(reply["Payload"])["errorMessage"]


def test_the_http_api_reaches_its_function(small: stacks.Stack) -> None:
    for path in ("health", "elsewhere"):  # the latter by the default route
        with urllib.request.urlopen(f"{small.outputs['HttpApiUrl']}/{path}") as reply:
            assert json.load(reply)["table"] == small.outputs["StateTableName"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(small.outputs["HttpApiUrl"].replace("/api", "/elsewhere"))


def test_metrics_that_a_function_prints_are_in_cloudwatch(small: stacks.Stack) -> None:
    name = small.outputs["MonitorScheduleFunctionName"]
    small.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    cloudwatch = small.client("cloudwatch")
    poll_until(
        lambda: cloudwatch.list_metrics(Namespace="streamscore", MetricName="Seen")["Metrics"],
        "the metric is there",
    )
    (metric,) = cloudwatch.list_metrics(Namespace="streamscore", MetricName="Seen")["Metrics"]
    assert metric["Dimensions"] == [{"Name": "service", "Value": "test"}]


def test_the_spec_is_published_under_its_hash(small: stacks.Stack) -> None:
    s3, bucket = small.client("s3"), small.outputs["DataBucketName"]
    (found,) = s3.list_objects_v2(Bucket=bucket, Prefix="specs/")["Contents"]
    spec = from_json(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    assert found["Key"] == f"specs/{spec.sha256}.json"


def test_the_emulator_polls_no_mapping_and_tables_expire_items(small: stacks.Stack) -> None:
    mappings = small.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert [m["State"] for m in mappings] == ["Disabled"] * 3
    ttl = small.client("dynamodb").describe_time_to_live(TableName=small.outputs["StateTableName"])
    assert ttl["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"


def test_records_flow_after_start_and_not_before(small: stacks.Stack) -> None:
    kinesis = small.client("kinesis")
    kinesis.put_record(StreamName=small.outputs["EventsStreamName"], Data=b"{}", PartitionKey="k")
    assert delivered(small) == 0
    small.start()
    small.drain(20)
    assert delivered(small) == 1
    small.stop()
    kinesis.put_record(StreamName=small.outputs["EventsStreamName"], Data=b"{}", PartitionKey="k")
    small.start()
    small.drain(20)
    assert delivered(small) == 2


def delivered(stack: stacks.Stack) -> Any:
    shards = stack.stats()["mappings"]["StreamFeaturesFunctionRecords"]["shards"]
    return sum(shard["records"] for shard in shards)


def test_invocations_errors_and_ages_are_in_cloudwatch_as_lambda_tells_them(small: stacks.Stack) -> None:
    """Counted once, whoever invoked: the emulator, the HTTP API, or our poller."""
    windows, features = (
        small.outputs[f"{name}FunctionName"] for name in ("MonitorWindows", "StreamFeatures")
    )
    api = small.outputs["ScoringApiFunctionName"]
    names = ("Invocations", "Errors")
    before = {of: [lambda_metric(small, name, of) for name in names] for of in (windows, features, api)}
    for payload in (b"{}", b'{"fail": true}', b'{"fail": true}'):
        small.client("lambda").invoke(FunctionName=windows, Payload=payload)
    with urllib.request.urlopen(f"{small.outputs['HttpApiUrl']}/health"):
        pass
    small.client("kinesis").put_record(
        StreamName=small.outputs["EventsStreamName"], Data=b"{}", PartitionKey="k"
    )
    small.start()
    small.drain(20)
    small.stop()
    more = {
        of: tuple(lambda_metric(small, name, of) - was for name, was in zip(names, before[of], strict=True))
        for of in before
    }
    assert more == {windows: (3, 2), features: (1, 0), api: (1, 0)}
    assert 0 <= lambda_metric(small, "IteratorAge", features, "Maximum") < 60_000


def lambda_metric(stack: stacks.Stack, name: str, function: str, statistic: str = "Sum") -> float:
    """Of all times; 0 where there is none."""
    stack.drain(20)  # publishes what is told
    points = stack.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=datetime(2020, 1, 1, tzinfo=UTC),
        EndTime=datetime(2100, 1, 1, tzinfo=UTC),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return (
        max((point[statistic] for point in points), default=0.0)
        if statistic == "Maximum"
        else sum(point[statistic] for point in points)
    )


def test_only_one_stack_is_up_at_a_time(small: stacks.Stack, code: Path) -> None:
    with pytest.raises(InvalidInputError, match="up already; `streamscore local down`"):
        stacks.up(small.state_dir.parent, code=code, port=0)
    assert stacks.load(small.state_dir.parent) == small


def test_a_stack_that_is_coming_up_is_not_disturbed(code: Path, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    with (tmp_path / ".local/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InvalidInputError, match="coming up here"):
            stacks.up(tmp_path, code=code, port=0)


def test_a_taken_port_is_told_in_one_line(small: stacks.Stack, code: Path, tmp_path: Path) -> None:
    port = int(small.endpoint.rsplit(":", 1)[1])
    with pytest.raises(stacks.StackError, match=f"port {port} on 127.0.0.1 is taken"):
        stacks.up(tmp_path, code=code, port=port)
    assert stacks.status(tmp_path) == {"up": False}


def test_a_spec_that_is_refused_stops_it_before_anything_runs(code: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[event]\n")
    with pytest.raises(stacks.StackError, match=r"bad\.toml"):
        stacks.up(tmp_path, code=code, spec=tmp_path / "bad.toml", port=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_supervisor_leaves_no_process_and_the_next_up_works(
    code: Path, tmp_path: Path, number: signal.Signals
) -> None:
    stack = stacks.up(tmp_path, code=code, port=0)
    stack.start()
    everything = family(stack)
    # supervisor, emulator, three functions; a fourth, if the schedule's minute is now
    assert len(everything) in {5, 6}
    os.kill(stack.supervisor.pid, number)
    gone, alive = psutil.wait_procs(everything, timeout=10)
    assert (len(gone), alive) == (len(everything), [])
    with pytest.raises(InvalidInputError, match="no local stack is up"):
        stacks.load(tmp_path)
    if number == signal.SIGKILL:
        again = stacks.up(tmp_path, code=code, port=0)
        assert stacks.down(tmp_path)
        assert not again.supervisor.alive()


def test_what_a_killed_supervisor_left_is_ended_by_its_identity_and_strangers_are_not(tmp_path: Path) -> None:
    mine = ProcessIdentity.of(os.getpid())
    ProcessIdentity(mine.pid, mine.started_at - 1).end()
    assert mine.alive()
