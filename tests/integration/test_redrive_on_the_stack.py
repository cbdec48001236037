"""`streamscore redrive` on the whole stack: every kind of stray comes back to where it belongs."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from stream_features.state import LabelRow, Out, Row, encode_out
from streamscore.local import stack as stacks
from streamscore.local.delivery import GiveUp, Record, Rules
from streamscore.local.events import failure_key, failure_record
from streamscore.local.mapping import Mapping
from streamscore.parity import served
from tests.decision_images import change, decision
from tests.integration.commands import invoke
from tests.integration.scoring_stack import record

DAY_MS = 86_400_000
SHARD = "shardId-000000000000"


pytestmark = pytest.mark.usefixtures("polling")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def decided(stack: stacks.Stack, event_id: str) -> Any:
    key = {"pk": {"S": event_id}}
    table = stack.outputs["DecisionsTableName"]
    return stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")


def give_up(stack: stacks.Stack, output: str, source: str, document: dict[str, Any]) -> None:
    """Leave in the bucket what Lambda leaves of a batch of this one record."""
    function = f"arn:aws:lambda:us-east-1:000000000000:function:{stack.outputs[output]}"
    mapping = Mapping("M", "uuid", source, function, Rules())
    records = (Record("1", now_ms(), json.dumps(document).encode()),)
    given = GiveUp(records, "RetryAttemptsExhausted", 101, errored=True)
    body = failure_record(mapping, SHARD, given, "id", now_ms())
    key = failure_key(mapping, SHARD, output, now_ms())
    stack.client("s3").put_object(Bucket=stack.outputs["DataBucketName"], Key=key, Body=body)


def found(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what was found by where it was."""
    result = invoke("redrive", "--json", *arguments)
    return result.exit_code, {one["from"]: one for one in json.loads(result.stdout)["found"]}


def test_a_record_refused_by_the_function_comes_back_once_nothing_speaks_against_it(
    stack: stacks.Stack, wait_until: Callable[..., None]
) -> None:
    event = {
        "transaction_id": "ahead",
        "event_time": now_ms() + DAY_MS + 3_000,
        "customer_id": "c",
        "terminal_id": "t",
        "amount": 1,
    }
    data = json.dumps(event).encode()
    stack.client("kinesis").put_record(
        StreamARN=stack.outputs["EventsStreamArn"], Data=data, PartitionKey="c"
    )
    stack.drain()
    assert decided(stack, "ahead") is None
    reason = ("--reason", "too_far_ahead")
    assert found("--dry-run", *reason)[1]["quarantined by stream_features"]["records"] == 1
    wait_until(lambda: found(*reason)[0] == 0, "the time is near enough")
    stack.drain()
    assert decided(stack, "ahead")["decision"]["S"]
    assert found(*reason)[1]["quarantined by stream_features"]["before"] == 1
    assert "by an earlier run" in invoke("redrive", *reason).stdout


def test_rows_given_up_are_decided_and_decisions_given_up_are_counted(stack: stacks.Stack) -> None:
    spec = served.running_spec(stack)
    row = Row("given-up", now_ms(), now_ms(), None, ("c", "t"), (100,), bytes(4 * len(spec.feature_names)))
    label = LabelRow("given-up", True, now_ms(), now_ms(), ("c", "t"), now_ms())
    rows = record(1, [row], [label], spec.sha256)
    assert encode_out(Out(1, spec.sha256, (row,), (label,)))
    give_up(stack, "ScoringFunctionName", stack.outputs["StateStreamArn"], rows)
    counted = change(decision("counted", model=None), sequence=77)
    give_up(stack, "MonitorWindowsFunctionName", stack.outputs["DecisionsStreamArn"], counted)

    code, back = found("--reason", "RetryAttemptsExhausted")
    assert (code, back["given up by scoring"]["back"], back["given up by monitor"]["back"]) == (0, 1, 1)
    item = decided(stack, "given-up")
    assert (item["source"]["S"], item["label"]["BOOL"]) == ("stream", True)

    def windows() -> list[tuple[str, str]]:
        """Key and count; the ttl of one that is written again is later."""
        items = stack.client("dynamodb").scan(TableName=stack.outputs["MonitorTableName"])["Items"]
        return [(one["sk"]["S"], one["decided"]["N"]) for one in items if "#unwindowed#" in one["sk"]["S"]]

    once = windows()
    assert [count for _, count in once] == ["1"]
    bucket, s3 = stack.outputs["DataBucketName"], stack.client("s3")
    for noted in s3.list_objects_v2(Bucket=bucket, Prefix="redriven/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=noted["Key"])  # as if it was killed before it could note it
    assert found("--reason", "RetryAttemptsExhausted")[0] == 0
    assert windows() == once
