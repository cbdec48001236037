"""A real stream, a real function that notes what it gets, and a poller between them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from streamscore.local.delivery import Rules
from streamscore.local.emulator import REGION, Emulator
from streamscore.local.function_process import Function, Outcome, Site
from streamscore.local.mapping import Mapping
from streamscore.local.poller import Poller
from streamscore.local.runtime_host import RuntimeHost
from streamscore.local.streams import Stream, open_stream
from tests.conftest import client_of, poll_until

CODE = """
import base64, json, os

def data(record):
    if "kinesis" in record:
        return json.loads(base64.b64decode(record["kinesis"]["data"]))
    return record["dynamodb"]["NewImage"]["pk"]["S"]

def note(event):
    with open(os.environ["OUT"], "a") as out:
        about = {k: v for k, v in event.items() if k != "Records"}
        out.write(json.dumps({"data": [data(r) for r in event["Records"]], **about}) + "\\n")

def take(event, context):
    note(event)

def choke(event, context):
    note(event)
    if any(data(r) == "poison" for r in event["Records"]):
        raise ValueError("poison")

def report(event, context):
    note(event)
    failed = [r["kinesis"]["sequenceNumber"] for r in event["Records"] if data(r) == "poison"]
    return {"batchItemFailures": [{"itemIdentifier": s} for s in failed]}

def slow(event, context):
    note(event)
    import time
    time.sleep(0.01)

def once(event, context):
    import os, pathlib
    note(event)
    killed = pathlib.Path(os.environ["OUT"] + ".killed")
    if not killed.exists():
        killed.touch()
        os.kill(os.getpid(), 9)

def count(event, context):
    note(event)
    return {"state": {"n": event["state"].get("n", 0) + len(event["Records"])}}
"""


@dataclass
class World:
    """A stream, a bucket, and a function that notes what it gets."""

    emulator: Emulator
    host: RuntimeHost
    bucket: str
    out: Path
    told: list[tuple[str, str, dict[str, float]]] = field(default_factory=list)

    def open_stream(self, arn: str) -> Stream:
        return open_stream(arn, self.emulator.endpoint, REGION)

    def invoke(self, function_name: str, payload: bytes) -> Outcome:
        return self.host.invoke(function_name, payload)

    def store_failure(self, bucket: str, key: str, body: bytes) -> None:
        client_of(self.emulator.endpoint, "s3").put_object(Bucket=bucket, Key=key, Body=body)

    def tell(self, dimension: str, of: str, **metrics: float) -> None:
        self.told.append((dimension, of, metrics))

    def invocations(self) -> list[Any]:
        return [json.loads(line) for line in self.out.read_text().splitlines()] if self.out.exists() else []

    def delivered(self) -> list[Any]:
        return [one for invocation in self.invocations() for one in invocation["data"]]

    def failures(self) -> list[Any]:
        s3 = client_of(self.emulator.endpoint, "s3")
        found = s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        return [json.loads(s3.get_object(Bucket=self.bucket, Key=o["Key"])["Body"].read()) for o in found]


@pytest.fixture
def world(emulator: Emulator, tmp_path: Path) -> Iterator[World]:
    bucket = f"b{uuid4().hex}"
    client_of(emulator.endpoint, "s3").create_bucket(Bucket=bucket)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/f.py").write_text(CODE)
    out = tmp_path / "out"
    functions = [
        Function(name, arn_of(name), f"f.{name}", 10, 256, {"OUT": str(out)})
        for name in ("take", "choke", "report", "slow", "once", "count")
    ]
    host = RuntimeHost(functions, Site(tmp_path / "code", emulator.endpoint, REGION, tmp_path / "logs"))
    yield World(emulator, host, bucket, out)
    host.close()


@pytest.fixture
def poll(world: World, tmp_path: Path) -> Iterator[Callable[..., Poller]]:
    """Start a poller of one mapping: `poll(stream_arn, "take", batch_size=…)`."""
    running: list[Poller] = []

    def start(
        source_arn: str,
        function: str,
        patterns: tuple[str, ...] = (),
        about: dict[str, Any] | None = None,
        **rules: Any,
    ) -> Poller:
        mapping = Mapping(
            function,
            "uuid-1",
            source_arn,
            arn_of(function),
            Rules(**rules),
            patterns,
            world.bucket,
            **(about or {}),
        )
        poller = Poller([mapping], world, tmp_path / "checkpoints")
        running.append(poller)
        poller.start()
        return poller

    yield start
    for poller in running:
        poller.close()


@pytest.fixture
def stream(emulator: Emulator) -> str:
    kinesis, name = client_of(emulator.endpoint, "kinesis"), f"s{uuid4().hex}"
    kinesis.create_stream(StreamName=name, ShardCount=1)

    def arn() -> str | None:
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return str(summary["StreamARN"]) if summary["StreamStatus"] == "ACTIVE" else None

    poll_until(arn, "the stream is active")
    return str(arn())


def arn_of(function: str) -> str:
    return f"arn:aws:lambda:us-east-1:000000000000:function:{function}"


def put(emulator: Emulator, stream: str, values: list[Any], key: str = "k") -> None:
    entries = [{"Data": json.dumps(value).encode(), "PartitionKey": key} for value in values]
    client_of(emulator.endpoint, "kinesis").put_records(StreamARN=stream, Records=entries)
