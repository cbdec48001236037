"""What a run left, without what may differ between runs: versions, moments of arrival and scoring, traces."""

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stream_features.spec import Spec
from stream_features.state import Row, decode_out
from streamscore.chaos.world import World
from streamscore.decided.decisions_log import decisions_log
from streamscore.decided.stored import Decided
from streamscore.demo.contents import given_up, state_blobs
from streamscore.local.streams import open_stream

_MAY_DIFFER = {"scored_at_ms", "arrival_ms", "trace"}


@dataclass(frozen=True)
class Contents:
    """A run's end. `rows`: event id to the rows it was given on the state table's stream."""

    decisions: dict[str, Any]
    states: dict[str, bytes]
    rows: dict[str, list[Any]]
    quarantined: int
    given_up: int


def contents(world: World, spec: Spec) -> Contents:
    """Read it all."""
    stack = world.stack
    return Contents(
        decisions={one.id: _lasting(one) for one in decisions_log(stack)},
        states=state_blobs(stack, spec),
        rows=_rows(world),
        quarantined=_quarantined(stack),
        given_up=given_up(stack),
    )


def differences(expected: Contents, found: Contents, broken: int) -> list[str]:
    """What is not as in the run without faults, in words; empty when all is well."""
    told = []
    for name in ("decisions", "states"):
        told += _unlike(name, getattr(expected, name), getattr(found, name))
    told += _unlike("rows", {k: rows[0] for k, rows in expected.rows.items()}, _firsts(found))
    repeated = [key for key, rows in found.rows.items() if len(rows) > 1]
    if repeated:
        told.append(f"rows: {len(repeated)} events were emitted more than once, {repeated[0]} for one")
    if found.quarantined != broken:
        told.append(f"quarantine: {found.quarantined} records, and {broken} could not be parsed")
    if found.given_up:
        told.append(f"failed: {found.given_up} records were given up")
    return told


def _firsts(found: Contents) -> dict[str, Any]:
    return {key: rows[0] for key, rows in found.rows.items()}


def _unlike(name: str, expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    missing, more = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = sorted(key for key in expected.keys() & found.keys() if expected[key] != found[key])
    told = []
    for words, keys in (("missing", missing), ("too many", more), ("different", other)):
        if keys:
            told.append(f"{name}: {len(keys)} {words}, {min(keys)} for one")
    if other:
        told.append(f"  expected {expected[other[0]]!r:.600}\n  found    {found[other[0]]!r:.600}")
    return told


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


def _quarantined(stack: Any) -> int:
    """Distinct records set aside: a batch that is tried again sets them aside again."""
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    found = set()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="quarantine/"):
        for entry in page.get("Contents", ()):
            body = gzip.decompress(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
            for line in body.splitlines():
                record = json.loads(line)
                found.add((record["shard"], record["sequence"]))
    return len(found)
