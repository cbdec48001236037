"""`streamscore forget` on the whole stack: nothing is left of one customer, and all of the others."""

import base64
import gzip
import io
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from common.quarantine import Quarantine
from common.records import Record, Refused
from stream_features.sharing import sub_keys
from streamscore import room_client
from streamscore.erasure.bucket import Bucket
from streamscore.erasure.found import Found
from streamscore.erasure.whom import Whom
from streamscore.local import stack as stacks
from tests import left_behind, table_exports
from tests.integration.commands import invoke
from tests.integration.test_put import Quiet
from tests.stream_events import SHARD
from tests.unit.transformed_template import of_type

MINE, OTHER, SHOP = "forget-c-4711", "forget-c-4712", "forget-t-1"
TRAINED, POLICY = "retrain/forget/training/features.parquet", "policies/forget.toml"
TABLE_ROWS = pl.DataFrame({"customer_id": [MINE, OTHER], "n": [1, 2]})


def record(id_: str, customer: str) -> bytes:
    at = time.time_ns() // 1_000_000
    fields = {"customer_id": customer, "terminal_id": SHOP, "event_time": at, "amount": 10}
    return json.dumps({"transaction_id": id_, **fields}).encode()


def put(stack: stacks.Stack, *events: tuple[str, str]) -> None:
    arn, kinesis = stack.outputs["EventsStreamArn"], stack.client("kinesis")
    for id_, customer in events:
        kinesis.put_record(StreamARN=arn, Data=record(id_, customer), PartitionKey=customer)
    stack.drain()


def put_object(stack: stacks.Stack, key: str, body: bytes) -> None:
    stack.client("s3").put_object(Bucket=stack.outputs["DataBucketName"], Key=key, Body=body)


def items(stack: stacks.Stack, output: str) -> list[dict[str, Any]]:
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[output])
    return [item for page in pages for item in page["Items"]]


def split(stack: stacks.Stack, key: str, into: int) -> None:
    """Sub-items beside an item, as many lanes leave them; each holds what the item does."""
    dynamodb, table = stack.client("dynamodb"), stack.outputs["StateTableName"]
    item = dynamodb.get_item(TableName=table, Key={"pk": {"S": key}})["Item"]
    for pk in sub_keys(key)[:into]:
        dynamodb.put_item(TableName=table, Item={**item, "pk": {"S": pk}})


def naming(stack: stacks.Stack, value: str) -> set[str]:
    """The places where the value is."""
    tables = {name: repr(items(stack, name)) for name in ("StateTableName", "DecisionsTableName")}
    sqs, url = stack.client("sqs"), stack.outputs["UndeliveredQueueUrl"]
    waiting = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    held = {**tables, "queue": repr(waiting.get("Messages"))}
    held |= {key: repr(_read(key, body)) for key, body in left_behind.objects(stack)}
    return {place for place, text in held.items() if value in text}


def _read(key: str, body: bytes) -> Any:
    if key.endswith(".parquet"):
        return pl.read_parquet(io.BytesIO(body)).rows()
    if key.startswith("quarantine/"):
        return [base64.b64decode(json.loads(line)["payload"]) for line in body.splitlines()]
    return body


ACTIONS = {
    "list_objects_v2": "s3:ListBucket",
    "receive_message": "sqs:ReceiveMessage",
    "delete_message": "sqs:DeleteMessage",
    "change_message_visibility": "sqs:ChangeMessageVisibility",
    "describe_stream_summary": "kinesis:DescribeStreamSummary",
    "get_secret_value": "secretsmanager:GetSecretValue",
}
NOT_SEEN = {
    "cloudformation:DescribeStacks",  # finds a deployed stack
    "lambda:InvokeFunction",  # which spec it serves
    "s3:AbortMultipartUpload",  # S3's own way with large objects
    "kms:Decrypt",
    "kms:GenerateDataKey",
}


def action(operation: str) -> str:
    service = "s3" if "object" in operation else "dynamodb"
    name = "".join(word.title() for word in operation.split("_"))
    return ACTIONS.get(operation, f"{service}:{name}")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The actions that were asked for."""
    seen, call = set[str](), room_client._called

    def calling(operation: str, *arguments: Any, **request: Any) -> Any:
        seen.add(action(operation))
        return call(operation, *arguments, **request)

    monkeypatch.setattr(room_client, "_called", calling)
    return seen


def granted() -> set[str]:
    """All that `ErasurePolicy` allows."""
    policy = of_type("AWS::IAM::ManagedPolicy")["ErasurePolicy"]["PolicyDocument"]
    listed = [one["Action"] for one in policy["Statement"]]
    return {action for one in listed for action in ([one] if isinstance(one, str) else one)}


@pytest.mark.usefixtures("polling")
def test_nothing_is_left_of_a_customer_and_all_of_the_others(stack: stacks.Stack, asked: set[str]) -> None:
    put(stack, ("forget-1", MINE), ("forget-2", OTHER), ("forget-3", MINE))
    aside = [record("forget-4", MINE), record("forget-5", OTHER), record("forget-6", MINE)[:-1]]
    refused = [Refused(Record(SHARD, str(n), 0, 1, data), "too_old", "") for n, data in enumerate(aside)]
    bucket = stack.outputs["DataBucketName"]
    key = Quarantine(lambda: stack.client("s3"), bucket, "forget").put(refused, lambda: 1e9)
    TABLE_ROWS.write_parquet(table := io.BytesIO())
    put_object(stack, TRAINED, table.getvalue())
    put_object(stack, POLICY, f'[[list]]\nids = ["{MINE}"]\n'.encode())
    decided = {one["pk"]["S"]: one for one in items(stack, "DecisionsTableName") if SHOP in repr(one)}
    export = "exports/decisions/AWSDynamoDB/data/forget.json.gz"
    lines = "".join(table_exports.line(id_, one, is_full=False) for id_, one in decided.items())
    put_object(stack, export, gzip.compress(lines.encode()))
    told = json.dumps({"detail": {"entity": MINE}})
    stack.client("sqs").send_message(QueueUrl=stack.outputs["UndeliveredQueueUrl"], MessageBody=told)
    held = naming(stack, MINE)
    assert held == {
        *("StateTableName", "DecisionsTableName", "queue", key, export),
        *(TRAINED, POLICY),
    }
    states = {one["pk"]["S"]: one for one in items(stack, "StateTableName")}

    refused_ = invoke("forget", "customer", MINE)
    assert "read units" in refused_.stderr and "--yes" in str(refused_.exception)
    looked = json.loads(invoke("forget", "customer", MINE, "--dry-run", "--json").stdout)
    assert naming(stack, MINE) == held

    result = invoke("forget", "customer", MINE, "--yes", "--json")
    receipt = json.loads(result.stdout)
    first, *_, last = receipt["passes"]
    assert first["found"] == looked["passes"][0]["found"]
    assert (first["found"]["state"], first["found"]["decisions"], first["masked"]) == (
        1,
        2,
        {"quarantine/": 1},
    )
    assert (receipt["proved"], last["found"]) == (True, {})
    assert receipt["yours"] == [f"{POLICY}: a list of the policy"]
    assert result.exit_code == 1  # for the policy, which only a person can replace
    assert naming(stack, MINE) == {POLICY}
    assert MINE not in result.stdout

    assert {pk: one for pk, one in states.items() if MINE not in pk} == {
        one["pk"]["S"]: one for one in items(stack, "StateTableName")
    }
    assert [one for one in items(stack, "DecisionsTableName") if SHOP in repr(one)] == [decided["forget-2"]]
    stack.client("s3").delete_object(Bucket=bucket, Key=POLICY)
    again = invoke("forget", "customer", MINE, "--yes", "--json")
    assert (again.exit_code, len(json.loads(again.stdout)["passes"])) == (0, 1)

    gone = [Refused(Record(SHARD, "9", 0, 1, record("forget-8", MINE)), "too_old", "")]
    Quarantine(lambda: stack.client("s3"), bucket, "forget").put(gone, lambda: 1e9)
    put(stack, ("forget-7", MINE))
    split(stack, f"terminal#{SHOP}", into=2)
    by_shop = json.loads(invoke("forget", "terminal", SHOP, "--yes", "--json").stdout)
    assert by_shop["passes"][0]["found"] == {"state": 3, "rows to score": 2, "decisions": 2} | {
        key: count for key, count in by_shop["passes"][0]["found"].items() if "/" in key
    }
    assert naming(stack, SHOP) == set()
    assert asked == granted() - NOT_SEEN
    for left in (key, export, TRAINED):
        stack.client("s3").delete_object(Bucket=bucket, Key=left)


def test_a_file_of_the_users_own_is_named_and_stays_as_it_is(client: Callable[[str], Any]) -> None:
    """In a bucket of its own: the stack's would begin to retrain."""
    s3, name = client("s3"), f"forget-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    body = gzip.compress(TABLE_ROWS.write_csv().encode())
    for key, content in (("raw-data/a.csv.gz", body), ("raw-data/b.csv.gz", b"no gzip"), ("raw-data/c", b"")):
        s3.put_object(Bucket=name, Key=key, Body=content)
    found = Found(0)
    with Bucket(s3, name, dry_run=False) as bucket:
        listed = bucket.listed()
        bucket.erase(Whom("customer", MINE, "customer_id", 0, MINE), listed, found, Quiet())
    assert [entry.key for entry in listed] == ["raw-data/a.csv.gz", "raw-data/b.csv.gz"]
    assert found.yours == ["raw-data/a.csv.gz: 1 rows"]
    assert [one.partition(":")[0] for one in found.unread] == ["raw-data/b.csv.gz"]
    assert s3.get_object(Bucket=name, Key="raw-data/a.csv.gz")["Body"].read() == body
