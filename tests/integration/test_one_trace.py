"""One trace id, from the producer's record to the decision, on the whole local stack."""

import gzip
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common import traceparent
from streamscore.local import stack as stacks
from streamscore.producer.records import new_trace
from tests.conftest import poll_until
from tests.xray_daemon import Daemon, listening

POLICY = """
fallback = "approve"
[[rule]]
name = "everything"
decision = "review"
all = [{ field = "amount", above = 0 }]
"""


@dataclass
class Traced:
    """A stack whose functions are told of an X-Ray daemon, and what has reached it."""

    stack: stacks.Stack
    daemon: Daemon
    documents: list[dict[str, Any]] = field(default_factory=list)

    def put(self, *records: dict[str, Any]) -> None:
        for record in records:
            self.stack.client("kinesis").put_record(
                StreamName=self.stack.outputs["EventsStreamName"],
                Data=json.dumps(record).encode(),
                PartitionKey=str(record["customer_id"]),
            )

    def subsegments(self, service: str, trace: str) -> list[dict[str, Any]]:
        """All of the invocations of a service that name this producer's trace, parents last."""
        self.documents += self.daemon.received()
        wanted = traceparent.xray_id(traceparent.trace_id(trace) or "")
        invocations = [
            one["trace_id"]
            for one in self.documents
            if one["name"] == service and wanted in one.get("annotations", {}).get("producers", "")
        ]
        return [one for one in self.documents if one["trace_id"] in invocations]

    def log(self, function: str) -> str:
        return (self.stack.state_dir / f"logs/{function}.log").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    root, environ = tmp_path_factory.mktemp("traced"), pytest.MonkeyPatch()
    code = root / "code"
    shutil.copytree(Path(__file__).parents[2] / "src", code)
    (code / "policy.toml").write_text(POLICY)
    with listening() as daemon:
        environ.setenv("AWS_XRAY_DAEMON_ADDRESS", daemon.address)
        stack = stacks.up(root, code=code, port=0, detached=False)
        stack.start()
        yield Traced(stack, daemon)
        stacks.down(root)
    environ.undo()


def event(name: str, trace: str | None, **more: Any) -> dict[str, Any]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = {"transaction_id": name, "event_time": now, "customer_id": "c1", "terminal_id": "t1", "amount": 3}
    return {**made, **more} | ({"traceparent": trace} if trace else {})


def decision_of(traced: Traced, id_: str) -> dict[str, Any]:
    table = traced.stack.outputs["DecisionsTableName"]

    def found() -> Any:
        key = {"pk": {"S": id_}}
        return traced.stack.client("dynamodb").get_item(TableName=table, Key=key).get("Item")

    poll_until(found, "the decision is stored")
    return dict(found())


def published_on(stack: stacks.Stack) -> Any:
    """A queue that gets what the bus gets, and a function that empties it."""
    sqs, events, bus = stack.client("sqs"), stack.client("events"), stack.outputs["EventBusName"]
    queue = sqs.create_queue(QueueName="flagged")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"source": ["streamscore"]})
    events.put_rule(Name="flagged", EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule="flagged", EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
    return lambda: [
        json.loads(message["Body"])["detail"]
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    ]


def test_the_producers_trace_is_in_the_decision_on_the_bus_in_logs_and_in_x_ray(traced: Traced) -> None:
    trace, taken = new_trace(), published_on(traced.stack)
    trace_id = traceparent.trace_id(trace)
    details: list[Any] = []

    traced.put(event("t-1", trace), event("t-2", None))

    assert decision_of(traced, "t-1")["trace"] == {"S": trace}
    assert "trace" not in decision_of(traced, "t-2")
    poll_until(lambda: details.extend(taken()) or len(details) >= 2, "both are on the bus")
    assert {detail["id"]: detail.get("trace") for detail in details} == {"t-1": trace, "t-2": None}
    for function, service, steps in (
        ("StreamFeaturesFunction", "stream_features", {"decode", "read", "fold", "write", "DynamoDB"}),
        ("ScoringFunction", "scoring", {"decode", "score", "policy", "write", "publish", "EventBridge"}),
    ):
        poll_until(lambda f=function: trace_id in traced.log(f), f"{function} logs the trace")
        poll_until(lambda s=service: traced.subsegments(s, trace), f"{service} tells X-Ray")
        found = traced.subsegments(service, trace)
        assert steps <= {one["name"] for one in found}
        ids = {one["id"] for one in found}
        assert [one["name"] for one in found if one["parent_id"] not in ids] == [service]
        assert found[-1]["annotations"]["batch_size"] >= 1


def test_a_refused_record_keeps_its_trace(traced: Traced) -> None:
    trace, s3 = new_trace(), traced.stack.client("s3")
    bucket = traced.stack.outputs["DataBucketName"]

    traced.put(event("t-3", trace, amount="much"))

    def kept() -> Any:
        return s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/").get("Contents")

    poll_until(kept, "the record is in quarantine")
    body = s3.get_object(Bucket=bucket, Key=kept()[0]["Key"])["Body"].read()
    (line,) = map(json.loads, gzip.decompress(body).splitlines())
    assert (line["trace"], line["reason"]) == (trace, "wrong_type")
    poll_until(lambda: trace in traced.log("StreamFeaturesFunction"), "the log line names the trace")
