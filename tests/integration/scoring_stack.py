"""Tables, bucket, bus and pointers in the emulator, with scoring wired to them, for its tests."""

import base64
import functools
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.settings import Settings
from scoring.handler import run
from scoring.wiring import Wiring, wire
from stream_features.state import LabelRow, Out, Row, encode_out
from streamscore.local import emulator as emulators
from streamscore.training import bundles, pointers
from tests import small_model

NOW_MS = 1_790_000_000_000
POLICY = """
fallback = "approve"
[[rule]]
name = "huge"
decision = "review"
all = [{ field = "amount", above = 5000 }]
"""


@dataclass
class ScoringStack:
    """A stack with only what scoring touches; `wired()` is a fresh process."""

    settings: Settings
    code: Path
    client: Callable[[str], Any]
    queue: str

    def waiting(self) -> int:
        """How many messages stand for decisions that the bus did not take."""
        asked = self.client("sqs").get_queue_attributes(
            QueueUrl=self.settings.unpublished_queue, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])

    def wired(self) -> Wiring:
        return wire(self.settings, self.code)

    def promote(self, folder: Path, seed: int = 0) -> str:
        made = small_model.trained(seed)
        bundles.write(made.bundle, made.model, folder)
        version = bundles.register(self.client("s3"), self.settings.data_bucket, folder)
        pointers.point(self.client("ssm"), self.settings.pointer_prefix, version, "test")
        return version.version

    def items(self) -> list[dict[str, Any]]:
        found = self.client("dynamodb").scan(TableName=self.settings.decisions_table)["Items"]
        return sorted(found, key=lambda item: str(item["pk"]["S"]))

    def published(self) -> list[dict[str, Any]]:
        sqs, bodies = self.client("sqs"), []
        while True:
            messages = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                return sorted((json.loads(body) for body in bodies), key=lambda m: str(m["detail"]["id"]))
            bodies += [message["Body"] for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])


@contextmanager
def scoring_stack(
    emulator: emulators.Emulator, client: Callable[[str], Any], code: Path, environ: pytest.MonkeyPatch
) -> Iterator[ScoringStack]:
    """Make it under names of its own; `environ` points botocore at the emulator."""
    client = functools.cache(client)
    name = f"scoring-{uuid.uuid4().hex[:8]}"
    environ.setenv("AWS_ENDPOINT_URL", emulator.endpoint)
    environ.setenv("AWS_DEFAULT_REGION", emulators.REGION)
    environ.setenv("AWS_ACCESS_KEY_ID", "test")
    environ.setenv("AWS_SECRET_ACCESS_KEY", "test")
    (code / "features.toml").write_text(small_model.SPEC)
    (code / "policy.toml").write_text(POLICY)
    for table in ("state", "decisions"):
        client("dynamodb").create_table(
            TableName=f"{name}-{table}",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    client("s3").create_bucket(Bucket=name)
    settings = Settings(
        stage="test",
        stack_name=name,
        state_table=f"{name}-state",
        decisions_table=f"{name}-decisions",
        monitor_table="unused",
        data_bucket=name,
        event_bus=name,
        unpublished_queue=client("sqs").create_queue(QueueName=f"{name}-unpublished")["QueueUrl"],
        events_stream="unused",
        pointer_prefix=f"/streamscore/{name}",
        pointers_reread_s="60",
        log_key_secret="",
        service="scoring",
    )
    yield ScoringStack(settings, code, client, _subscribe(client, name))


def _subscribe(client: Callable[[str], Any], name: str) -> str:
    client("events").create_event_bus(Name=name)
    queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    asked = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = json.dumps({"source": ["streamscore"]})
    client("events").put_rule(Name=name, EventBusName=name, EventPattern=pattern)
    target = {"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}
    client("events").put_targets(Rule=name, EventBusName=name, Targets=[target])
    return str(queue)


def row(id_: str, amount: float = 10.0, mean: float = 30.0, shop: str | None = "books") -> Row:
    vector = np.array([amount, 2, 5, mean], "<f4").tobytes()
    kept = (round(amount * 100), shop)
    return Row(id_, NOW_MS - 5000, NOW_MS - 300, "00-trace", ("c1", "t1"), kept, vector)


def label(id_: str, value: bool = True, label_time_ms: int = NOW_MS) -> LabelRow:
    return LabelRow(id_, value, label_time_ms, NOW_MS - 5000, ("c1", "t1"), NOW_MS - 100)


def record(
    sequence: int, rows: Sequence[Row] = (), labels: Sequence[LabelRow] = (), spec_sha: str | None = None
) -> dict[str, Any]:
    """One record of the state table's stream as Lambda delivers it."""
    out = encode_out(Out(1, spec_sha or small_model.spec().sha256, tuple(rows), tuple(labels)))
    return {
        "eventName": "MODIFY",
        "dynamodb": {
            "SequenceNumber": str(sequence),
            "NewImage": {"pk": {"S": "card#c1"}, "out": {"B": base64.b64encode(out).decode()}},
        },
    }


def deliver(wiring: Wiring, *records: dict[str, Any], remaining_ms: float = 60_000) -> list[str]:
    """Run a batch; the sequence numbers it wants again."""
    reply = run(wiring, {"Records": list(records)}, lambda: remaining_ms)
    return [failure["itemIdentifier"] for failure in reply["batchItemFailures"]]


@pytest.fixture
def fresh_stack(
    emulator: emulators.Emulator,
    client: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ScoringStack]:
    """One for each test, its code in `tmp_path`. A module takes it as its own by `stack = fresh_stack`."""
    with scoring_stack(emulator, client, tmp_path, monkeypatch) as made:
        yield made
