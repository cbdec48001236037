"""Scoring on the stream: state-stream records that carry `out` become decisions, in order, exactly one an
event.
"""

import base64
import functools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from common.aws import RemainingMs
from common.settings import Settings, code_root
from common.telemetry import count, logger, measure, note, observed
from scoring.decisions import Written
from scoring.items import Decision, Item, Label, kept_values, to_item
from scoring.judge import Judged
from scoring.rules import Batch
from scoring.wiring import Wiring, wire
from stream_features.spec import Spec
from stream_features.state import LabelRow, Out, Row, decode_out

_DECIDED = {"approve": "DecisionsApproved", "review": "DecisionsReviewed", "block": "DecisionsBlocked"}


class Delivered(NamedTuple):
    """One stream record: its sequence number and the rows in it."""

    sequence: str
    out: Out


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: a batch of the state table's stream."""
    return run(_wiring(), event, context.get_remaining_time_in_millis)


def run(wiring: Wiring, event: Mapping[str, Any], remaining_ms: RemainingMs) -> dict[str, Any]:
    """Score, store and publish a batch; the reply names the first record that was not finished, if any."""
    delivered = gather(event)
    items = decide(wiring, delivered)
    labels = [_label(row) for record in delivered for row in record.out.labels]
    written = wiring.decisions.write(items, labels, remaining_ms)
    published = [*written.made, *written.stood]
    unpublished = wiring.bus.publish(published, remaining_ms)
    _count(written, published, unpublished)
    return unfinished(delivered, written.unfinished | unpublished)


def gather(event: Mapping[str, Any]) -> list[Delivered]:
    """What the records of a DynamoDB stream event carry; a record without `out` carries nothing."""
    images = [(r["dynamodb"]["SequenceNumber"], r["dynamodb"].get("NewImage", {})) for r in event["Records"]]
    return [
        Delivered(sequence, decode_out(base64.b64decode(image["out"]["B"])))
        for sequence, image in images
        if "out" in image
    ]


def decide(wiring: Wiring, delivered: Sequence[Delivered]) -> list[Item]:
    """A decision item for every row, spec by spec (a batch holds two while a new one is being deployed)."""
    by_spec: dict[str, list[Row]] = {}
    for record in delivered:
        by_spec.setdefault(record.out.spec_sha, []).extend(record.out.rows)
    serving = wiring.serving.current()
    note(model_version=serving.model.version if serving.model else serving.absent)
    items: list[Item] = []
    for spec_sha, rows in by_spec.items():
        if rows:
            spec = wiring.specs.get(spec_sha)
            judged = wiring.judge.judge(serving, spec, _batch(rows))
            items += _items(spec, spec_sha, rows, judged)
    return items


def unfinished(delivered: Sequence[Delivered], ids: set[str]) -> dict[str, Any]:
    """Lambda's partial batch reply: the lowest sequence number that holds one of these ids."""
    for record in delivered if ids else ():
        if not ids.isdisjoint([r.id for r in record.out.rows] + [r.id for r in record.out.labels]):
            logger().warning("not finished, to be delivered again", extra={"rows": len(ids)})
            return {"batchItemFailures": [{"itemIdentifier": record.sequence}]}
    return {"batchItemFailures": []}


@functools.cache
def _wiring() -> Wiring:
    return wire(Settings.from_environ(os.environ), code_root())


def _batch(rows: Sequence[Row]) -> Batch:
    """The rows' vectors as one matrix, without touching a value."""
    matrix = np.frombuffer(b"".join([row.vector for row in rows]), "<f4").reshape(len(rows), -1)
    return Batch(matrix, [row.kept for row in rows])


def _items(spec: Spec | None, spec_sha: str, rows: Sequence[Row], judged: Judged) -> Iterable[Item]:
    scored_at_ms = time.time_ns() // 1_000_000
    for n, row in enumerate(rows):
        yield to_item(
            Decision(
                id=row.id,
                entity=row.entities[0],
                event_time_ms=row.time_ms,
                arrival_ms=row.arrival_ms,
                scored_at_ms=scored_at_ms,
                score=judged.score(n),
                verdict=judged.verdicts[n],
                reasons=judged.reasons[n],
                absent=judged.absent,
                model=judged.model,
                policy=judged.policy,
                spec_sha=spec_sha,
                features=row.vector,
                kept=kept_values(spec, row.kept) if spec else {},
                trace=row.trace,
                source="stream",
            )
        )
    count("RowsScored", len(rows) if judged.model else 0)


def _label(row: LabelRow) -> Label:
    return Label(row.id, row.entities[0], row.time_ms, row.label, row.label_time_ms, row.arrival_ms)


def _count(written: Written, published: Sequence[Item], unpublished: set[str]) -> None:
    count("DecisionsMade", len(written.made))
    for decision, metric in _DECIDED.items():
        count(metric, sum(item["decision"]["S"] == decision for item in written.made))
    count("DecisionsRepeated", len(written.stood))
    flagged = sum(item["decision"]["S"] != "approve" for item in published)
    count("DecisionsPublished", flagged - len(unpublished))
    count("LabelsStored", written.labels)
    measure("DecisionLatency", [float(item["latency_ms"]["N"]) for item in written.made])
