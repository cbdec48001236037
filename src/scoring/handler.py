"""Scoring on the stream: state-stream records that carry `out` become decisions, in order, exactly one an
event.
"""

import base64
import binascii
import functools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from common.aws import RemainingMs
from common.errors import InvalidInputError, TransientError
from common.settings import Settings, code_root
from common.telemetry import count, follow, logger, measure, note, observed
from common.tracing import annotate, step
from scoring import policy as policies
from scoring.decisions import Written
from scoring.items import Decision, Item, Label, kept_values, to_item
from scoring.judge import Judged
from scoring.rules import Batch
from scoring.wiring import Wiring, wire
from stream_features.spec import Spec
from stream_features.state import LabelRow, Out, Row, decode_out

_TRACES_A_LINE = 10
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
    """Score, store and publish a batch; the reply names the first record that was not finished, if any.

    A record that cannot be read raises InvalidInputError, once all others are done.
    """
    with step("decode"):
        delivered, unreadable = gather(event)
    rows = [row for record in delivered for row in record.out.rows]
    follow(row.trace for row in rows)
    with step("score"):
        items, waiting = decide(wiring, delivered)
    labels = [_label(row) for record in delivered for row in record.out.labels]
    annotate(batch_size=len(rows), labels=len(labels))
    with step("write", items=len(items)) as writing:
        written = wiring.decisions.write(items, labels, remaining_ms)
        writing.flag(throttle=bool(written.unfinished))
    with step("publish") as publishing:
        untold = wiring.publisher.publish([*written.made, *written.stood], remaining_ms)
        publishing.flag(throttle=bool(untold))
    _count(written)
    wiring.publisher.catch_up(wiring.decisions.get, remaining_ms)
    wiring.specs.wait_for(waiting, remaining_ms)
    if unreadable:
        raise unreadable[0]
    return unfinished(delivered, written.unfinished | untold | _ids(delivered, waiting))


def gather(event: Mapping[str, Any]) -> tuple[list[Delivered], list[InvalidInputError]]:
    """What the records of a DynamoDB stream event carry, and what is wrong with those that cannot be read; a
    record without `out` carries nothing.
    """
    delivered: list[Delivered] = []
    unreadable: list[InvalidInputError] = []
    for record in event["Records"]:
        change = record["dynamodb"]
        if "out" in (image := change.get("NewImage", {})):
            try:
                out = decode_out(base64.b64decode(image["out"]["B"]))
            except (InvalidInputError, binascii.Error) as error:
                unreadable.append(InvalidInputError(f"record {change['SequenceNumber']}: {error}"))
            else:
                delivered.append(Delivered(change["SequenceNumber"], out))
    return delivered, unreadable


def decide(wiring: Wiring, delivered: Sequence[Delivered]) -> tuple[list[Item], list[str]]:
    """A decision item for every row, spec by spec (a batch holds two while a new one is being deployed), and
    the specs that cannot be read now: their rows wait.
    """
    by_spec: dict[str, list[Row]] = {}
    for record in delivered:
        if record.out.rows:
            by_spec.setdefault(record.out.spec_sha, []).extend(record.out.rows)
    serving = wiring.serving.current()
    version = serving.model.version if serving.model else serving.absent
    note(model_version=version)
    annotate(model_version=version)
    items: list[Item] = []
    waiting: list[str] = []
    for spec_sha, rows in by_spec.items():
        try:
            spec = wiring.specs.get(spec_sha)
        except TransientError as error:
            logger().warning("a spec cannot be read, its rows wait", extra={"error": str(error)})
            waiting.append(spec_sha)
            continue
        draws = policies.draws(serving.policy, [row.id for row in rows])
        judged = wiring.judge.judge(serving, spec, _batch(spec, rows), draws)
        items += _items(spec, spec_sha, rows, judged)
    return items, waiting


def unfinished(delivered: Sequence[Delivered], ids: set[str]) -> dict[str, Any]:
    """Lambda's partial batch reply: the lowest sequence number that holds one of these ids."""
    for record in delivered if ids else ():
        if not ids.isdisjoint([r.id for r in record.out.rows] + [r.id for r in record.out.labels]):
            traces = [row.trace for one in delivered for row in one.out.rows if row.trace and row.id in ids]
            told = {"rows": len(ids), "traces": traces[:_TRACES_A_LINE]}
            logger().warning("not finished, to be delivered again", extra=told)
            return {"batchItemFailures": [{"itemIdentifier": record.sequence}]}
    return {"batchItemFailures": []}


@functools.cache
def _wiring() -> Wiring:
    return wire(Settings.from_environ(os.environ), code_root())


def _ids(delivered: Sequence[Delivered], spec_shas: Sequence[str]) -> set[str]:
    return {row.id for record in delivered if record.out.spec_sha in spec_shas for row in record.out.rows}


def _batch(spec: Spec | None, rows: Sequence[Row]) -> Batch:
    """The rows' vectors as one matrix, without touching a value, and what rules look at beside them; none of
    an unknown spec, which no rule reads.

    InvalidInputError if a vector has another length than its spec's: it would shift all after it.
    """
    if spec is None:
        return Batch(np.empty((len(rows), 0), np.float32), [()] * len(rows))
    vectors = [row.vector for row in rows]
    if {len(vector) for vector in vectors} != {4 * len(spec.features)}:
        raise InvalidInputError(
            f"out: a vector is not one of spec {spec.sha256}'s {len(spec.features)} features"
        )
    matrix = np.frombuffer(b"".join(vectors), "<f4").reshape(len(rows), -1)
    return Batch(matrix, [row.kept for row in rows], [row.entities for row in rows])


def _items(spec: Spec | None, spec_sha: str, rows: Sequence[Row], judged: Judged) -> Iterable[Item]:
    scored_at_ms = time.time_ns() // 1_000_000
    others = [entity.name for entity in spec.entities[1:]] if spec else []
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
                absent=judged.absence(n),
                model=judged.model,
                policy=judged.policy,
                spec_sha=spec_sha,
                features=row.vector,
                kept=kept_values(spec, row.kept) if spec else {},
                trace=row.trace,
                source="stream",
                entities=dict(zip(others, row.entities[1:], strict=True)) if others else {},
                challenger=judged.challenger,
                challenger_score=judged.challenger_score(n),
            )
        )
    count("RowsScored", len(rows) if judged.model else 0)


def _label(row: LabelRow) -> Label:
    return Label(row.id, row.entities[0], row.time_ms, row.label, row.label_time_ms, row.arrival_ms)


def _count(written: Written) -> None:
    count("DecisionsMade", len(written.made))
    for decision, metric in _DECIDED.items():
        count(metric, sum(item["decision"]["S"] == decision for item in written.made))
    count("DecisionsRepeated", len(written.stood))
    count("LabelsStored", written.labels)
    measure("DecisionLatency", [float(item["latency_ms"]["N"]) for item in written.made])
