"""All that a run of a local stack leaves where people and machines look at it, as bytes by place."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from streamscore.local.stack import Stack

QUARANTINE = "quarantine/"


def told(stack: Stack, traces: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Logs, metrics, traces, queues, and every object outside the quarantine."""
    for log in [*(stack.state_dir / "logs").iterdir(), *(stack.state_dir / "emulator").glob("*.log")]:
        yield f"log {log.name}", log.read_bytes()
    pages = stack.client("cloudwatch").get_paginator("list_metrics").paginate()
    metrics = [metric for page in pages for metric in page["Metrics"]]
    yield "metrics", json.dumps(metrics).encode()
    yield "traces", json.dumps(traces).encode()
    for key, body in objects(stack):
        if not key.startswith(QUARANTINE):
            yield f"object {key}", key.encode() + body
    sqs = stack.client("sqs")
    for url in sqs.list_queues()["QueueUrls"]:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        yield f"queue {url.rpartition('/')[2]}", json.dumps(answer.get("Messages", [])).encode()


def objects(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every object of the data bucket, as it was before it was packed."""
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", ()):
            body = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            yield one["Key"], gzip.decompress(body) if one["Key"].endswith(".gz") else body
