"""Scoring on the stream: state-stream records that carry `out` become decisions, in order, exactly one an
event.
"""

import base64
import binascii
import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from common.aws import RemainingMs
from common.errors import InvalidInputError, TransientError
from common.settings import Settings, code_root
from common.telemetry import follow, logger, note, observed, some_traces
from common.tracing import annotate, step
from scoring import policy as policies
from scoring.early import load_early
from scoring.items import Item, Label
from scoring.rows import batch, items, tally
from scoring.wiring import Wiring, wire
from stream_features.state import LabelRow, Out, Row, decode_out


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
        decided, waiting = decide(wiring, delivered)
    labels = [_label(row) for record in delivered for row in record.out.labels]
    annotate(batch_size=len(rows), labels=len(labels))
    with step("write", items=len(decided)) as writing:
        written = wiring.decisions.write(decided, labels, remaining_ms)
        writing.flag(throttle=bool(written.unfinished))
    with step("publish") as publishing:
        untold = wiring.publisher.publish([*written.made, *written.stood], remaining_ms)
        publishing.flag(throttle=bool(untold))
    tally(written)
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
    decided: list[Item] = []
    waiting: list[str] = []
    for spec_sha, rows in by_spec.items():
        try:
            spec = wiring.specs.get(spec_sha)
        except TransientError as error:
            logger().warning("a spec cannot be read, its rows wait", extra={"error": str(error)})
            waiting.append(spec_sha)
            continue
        draws = policies.draws(serving.policy, [row.id for row in rows])
        judged = wiring.judge.judge(serving, spec, batch(spec, rows), draws)
        decided += items(spec, spec_sha, rows, judged, "stream")
    return decided, waiting


def unfinished(delivered: Sequence[Delivered], ids: set[str]) -> dict[str, Any]:
    """Lambda's partial batch reply: the lowest sequence number that holds one of these ids."""
    for record in delivered if ids else ():
        if not ids.isdisjoint([r.id for r in record.out.rows] + [r.id for r in record.out.labels]):
            traces = some_traces(row.trace for one in delivered for row in one.out.rows if row.id in ids)
            told = {"rows": len(ids), "traces": traces}
            logger().warning("not finished, to be delivered again", extra=told)
            return {"batchItemFailures": [{"itemIdentifier": record.sequence}]}
    return {"batchItemFailures": []}


def _ids(delivered: Sequence[Delivered], spec_shas: Sequence[str]) -> set[str]:
    return {row.id for record in delivered if record.out.spec_sha in spec_shas for row in record.out.rows}


def _label(row: LabelRow) -> Label:
    return Label(row.id, row.entities[0], row.time_ms, row.label, row.label_time_ms, row.arrival_ms)


@functools.cache
def _wiring() -> Wiring:
    return wire(Settings.from_environ(os.environ), code_root())


load_early(__name__, _wiring)
