"""What a run left, without what may differ between runs: versions, moments of arrival and scoring, traces."""

import base64
import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream_features.spec import Spec
from stream_features.state import Row, decode_out
from streamscore.chaos.counted import counted
from streamscore.chaos.world import World
from streamscore.decided.decisions_log import decisions_log
from streamscore.decided.stored import Decided
from streamscore.demo.contents import given_up, state_blobs
from streamscore.local.streams import open_stream

_MAY_DIFFER = {"scored_at_ms", "arrival_ms", "trace"}


@dataclass(frozen=True)
class Contents:
    """A run's end.

    `rows`: event id to the rows it was given on the state table's stream; `counted`: what the monitor counted
    in all windows; `told`: see Heard; `quarantined`: how many records with that payload were set aside.
    """

    decisions: dict[str, Any]
    states: dict[str, bytes]
    rows: dict[str, list[Any]]
    counted: dict[str, list[int]]
    told: dict[str, list[Any]]
    quarantined: Mapping[bytes, int]
    given_up: int


def contents(world: World, spec: Spec) -> Contents:
    """Read it all."""
    stack = world.stack
    return Contents(
        decisions={one.id: _lasting(one) for one in decisions_log(stack)},
        states=state_blobs(stack, spec),
        rows=_rows(world),
        counted=counted(stack),
        told=world.heard.told,
        quarantined=_quarantined(stack),
        given_up=given_up(stack),
    )


def _lasting(one: Decided) -> Any:
    decided = {name: value for name, value in one.decision._asdict().items() if name not in _MAY_DIFFER}
    return decided, one.label, one.label_time_ms, one.cut


def _rows(world: World) -> dict[str, list[Any]]:
    """Everything that ever was in `out`, from the stream's beginning."""
    arn = next(m.source_arn for m in world.deployed.mappings if m.reads_table and "out" in str(m.patterns))
    stream = open_stream(arn, world.stack.endpoint, world.stack.region)
    found: dict[str, list[Any]] = {}
    for shard in stream.shards():
        iterator: str | None = stream.iterator(shard.id, None)
        while iterator:
            read = stream.read(shard.id, iterator)
            for _sequence, _arrival_ms, document in read.records:
                for row in _emitted(document["dynamodb"]):
                    found.setdefault(row.id, []).append((row.time_ms, row.entities, row.kept, row.vector))
            iterator = None if read.at_tip else read.iterator
    stream.close()
    return found


def _emitted(change: dict[str, Any]) -> Sequence[Row]:
    out = change.get("NewImage", {}).get("out")
    return decode_out(base64.b64decode(out["B"])).rows if out else ()


def _quarantined(stack: Any) -> Counter[bytes]:
    """Payloads of the records set aside: a batch that is tried again sets them aside again."""
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    found: dict[tuple[str, str], bytes] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="quarantine/"):
        for entry in page.get("Contents", ()):
            body = gzip.decompress(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
            for record in map(json.loads, body.splitlines()):
                found[record["shard"], record["sequence"]] = base64.b64decode(record["payload"])
    return Counter(found.values())
