"""What a stack holds, read whole: for stacks small enough to be scanned, as the local one is."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from stream_features.sharing import is_sub_key, sub_keys
from stream_features.spec import Spec
from stream_features.state import CUTOVER_KEY
from stream_features.store import states_of, stored_of
from streamscore.decided.decisions_log import Stack
from streamscore.decided.stored import Decided as Stored
from streamscore.demo.summary import Decided


def state_blobs(stack: Stack, spec: Spec) -> dict[str, bytes]:
    """The kernel's state of every entity that has one, by its item's key."""
    items = stored_of(_scan(stack, stack.outputs["StateTableName"]))
    items.pop(CUTOVER_KEY, None)
    whole = {
        key: [items[one] for one in (key, *sub_keys(key)) if one in items]
        for key in items
        if not is_sub_key(key)
    }
    return {key: blob for key, blob in states_of(spec, whole).items() if blob}


def set_aside(stack: Stack, prefix: str) -> int:
    """How many records lie under a prefix of the data bucket: one a line, gzipped or not."""
    return sum(len(body.splitlines()) for body in _objects(stack, prefix))


def given_up(stack: Stack) -> int:
    """How many stream records lie in failure objects, which Lambda puts under aws/lambda/."""
    found = [json.loads(body) for body in _objects(stack, "aws/lambda/")]
    return sum(
        info["batchSize"] for failure in found for name, info in failure.items() if name.endswith("BatchInfo")
    )


def _objects(stack: Stack, prefix: str) -> Iterator[bytes]:
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            body = bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
            yield gzip.decompress(body) if entry["Key"].endswith(".gz") else body


def _scan(stack: Stack, table: str) -> Iterator[dict[str, Any]]:
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        yield from page["Items"]


def decided_of(one: Stored) -> Decided:
    """What the summary needs of a decision."""
    return Decided(
        id=one.id,
        decision=one.action,
        score=one.decision.score,
        label=one.label,
        latency_ms=float(one.decision.scored_at_ms - one.decision.arrival_ms),
        model=one.decision.model,
        vector=one.decision.features,
    )
