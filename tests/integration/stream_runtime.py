"""The stream_features handler over the emulator's DynamoDB and S3, and what it leaves there."""

import gzip
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from common import aws
from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.quarantine import Quarantine
from stream_features import state
from stream_features.events import decoder
from stream_features.handler import Runtime
from stream_features.spec import parse
from stream_features.state import decode_out
from streamscore.local.emulator import CREDENTIALS, Emulator
from tests.integration.test_emulator import stream_records, table_with_stream
from tests.stream_events import SHARD

SPEC = parse(
    """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "7d"
max_age = "3d"
keep = ["note", "amount"]
fields = { amount = "decimal(2)", note = "string?" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "card_count_{window}"
entity = "card"
op = "count"
windows = ["1d"]
[[feature]]
name = "shop_sum_{window}"
entity = "shop"
op = "sum"
of = "amount"
windows = ["1d"]
"""
)
NOW_MS = 1_764_000_000_000
GOOD = {"id": "e1", "at": NOW_MS, "card": "c1", "shop": "s1", "amount": 12.5, "note": "x"}


def a_minute() -> float:
    return 60_000


@pytest.fixture
def runtime(emulator: Emulator, client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Runtime:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.endpoint}.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{uuid4().hex}"
    client("s3").create_bucket(Bucket=bucket)
    table = table_with_stream(emulator.endpoint)
    quarantine = Quarantine(lambda: aws.client("s3"), bucket, "stream_features")
    return Runtime(SPEC, decoder(SPEC), DynamoDB(Wire()), table, quarantine)


@pytest.fixture
def items(runtime: Runtime, client: Callable[[str], Any]) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        found = client("dynamodb").scan(TableName=runtime.state_table, ConsistentRead=True)["Items"]
        return {item["pk"]["S"]: item for item in found}

    return read


@pytest.fixture
def quarantined(runtime: Runtime, client: Callable[[str], Any]) -> Callable[[], list[dict[str, Any]]]:
    def read() -> list[dict[str, Any]]:
        bucket = runtime.quarantine._bucket
        keys = [o["Key"] for o in client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]
        assert all(key.startswith(f"quarantine/2025/11/24/stream_features-{SHARD}-") for key in keys)
        bodies = [client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
        return [json.loads(line) for body in bodies for line in gzip.decompress(body).splitlines()]

    return read


def images(emulator: Emulator, runtime: Runtime) -> list[dict[str, Any]]:
    """Every item as it was written, in order."""
    return [r["dynamodb"]["NewImage"] for r in stream_records(emulator.endpoint, runtime.state_table)]


def sizeof(image: dict[str, Any]) -> int:
    """About the bytes DynamoDB counts for an item."""
    return sum(len(name) + len(next(iter(value.values()))) for name, value in image.items())


def rows_of(emulator: Emulator, runtime: Runtime) -> list[state.Row]:
    """Every row that reached the table's stream, in order."""
    written = images(emulator, runtime)
    return [row for image in written if "out" in image for row in decode_out(image["out"]["B"]).rows]


def vector(row: state.Row) -> list[float]:
    return memoryview(row.vector).cast("f").tolist()


def event(name: str, card: str = "c1", shop: str = "s1", **more: Any) -> dict[str, Any]:
    return {**GOOD, "id": name, "card": card, "shop": shop, **more}
