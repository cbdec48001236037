"""Lambda: a batch of the events stream becomes features and state."""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common import aws
from common.aws import RemainingMs
from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.errors import TransientError
from common.quarantine import Quarantine
from common.records import Refused, billed_sizes
from common.settings import Settings, code_root
from common.telemetry import count, follow, logger, measure, meter, observed, some_traces
from common.tracing import annotate, step
from stream_features.entity_key import entity_key
from stream_features.events import Decoder, Event, Label, decoder
from stream_features.intake import Intake, take
from stream_features.protocol import Applied, apply_delivery
from stream_features.spec import Spec, parse
from stream_features.store import StateTable, run


@dataclass(frozen=True, slots=True)
class Runtime:
    """What an execution environment makes once."""

    spec: Spec
    decoder: Decoder
    dynamodb: DynamoDB
    state_table: str
    quarantine: Quarantine


@functools.cache
def runtime() -> Runtime:
    """The runtime of this process, from its environment and the `features.toml` beside the code."""
    import os  # noqa: PLC0415 - the environment is read here and nowhere else

    settings = Settings.from_environ(os.environ)
    spec = parse((code_root() / "features.toml").read_text())
    quarantine = Quarantine(lambda: aws.client("s3"), settings.data_bucket, settings.service)
    key = entity_key(spec, lambda: aws.client("secretsmanager", attempts=3), settings.log_key_secret)
    return Runtime(spec, decoder(spec, key), DynamoDB(Wire(), meter), settings.state_table, quarantine)


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Apply a Kinesis batch; the answer names the lowest record that has to be delivered again, if any."""
    return apply_batch(event, runtime(), context.get_remaining_time_in_millis)


def apply_batch(event: dict[str, Any], made: Runtime, remaining_ms: RemainingMs) -> dict[str, Any]:
    """Decode, apply, quarantine, report."""
    meter().kinesis_records(billed_sizes(event))
    with step("decode"):
        intake = take(event, made.spec, made.decoder)
    annotate(batch_size=len(intake.raw), refused=len(intake.refused), spec=made.spec.sha256)
    follow([*_traces(intake.delivery.records), *(refused.trace for refused in intake.refused)])
    applied = Applied()
    if intake.raw:
        table = StateTable(made.dynamodb, made.state_table, remaining_ms)
        applied = run(apply_delivery(made.spec, intake.delivery, _now_ms()), table)
    unfinished = None if applied.unfinished is None else intake.raw[applied.unfinished].sequence
    quarantined, unfinished = _set_aside(intake.refused, unfinished, made.quarantine, remaining_ms)
    _report(intake, applied, quarantined, unfinished)
    return {"batchItemFailures": [] if unfinished is None else [{"itemIdentifier": unfinished}]}


def _set_aside(
    refused: Sequence[Refused], unfinished: str | None, quarantine: Quarantine, remaining_ms: RemainingMs
) -> tuple[int, str | None]:
    """Quarantine what will not be delivered again; (how many, lowest unfinished sequence)."""
    final = [r for r in refused if unfinished is None or int(r.record.sequence) < int(unfinished)]
    if not final:
        return 0, unfinished
    try:
        with step("quarantine", records=len(final)):
            key = quarantine.put(final, remaining_ms)
    except TransientError as error:
        told = {"error": str(error), "records": len(final), "traces": some_traces(r.trace for r in final)}
        logger().warning("quarantine not written", extra=told)
        return 0, final[0].record.sequence
    meter().s3_put()
    reasons = sorted({r.reason for r in final})
    told = {
        "key": key,
        "records": len(final),
        "reasons": reasons,
        "traces": some_traces(r.trace for r in final),
    }
    logger().warning("records quarantined", extra=told)
    return len(final), unfinished


def _report(intake: Intake, applied: Applied, quarantined: int, unfinished: str | None) -> None:
    events = sum(isinstance(record, Event) for record in intake.delivery.records)
    arrivals_ms = [at for write in applied.done for at in write.arrivals_ms]
    now_ms = _now_ms()
    count("EventsReceived", events)
    count("LabelsReceived", len(intake.raw) - events)
    count("EventsApplied", len(arrivals_ms))
    count("LabelsApplied", sum(write.labels for write in applied.done))
    count("DuplicatesDropped", applied.duplicates)
    count("RecordsReplayed", applied.replays)
    count("RecordsBeforeCutover", applied.before_cutover)
    count("RecordsQuarantined", quarantined)
    count("StateConflicts", applied.conflicts)
    count("StateItemsWritten", len(applied.done))
    measure("FeatureLatency", [now_ms - at for at in arrivals_ms])
    if unfinished is not None:
        left = [n for n, record in enumerate(intake.raw) if int(record.sequence) >= int(unfinished)]
        count("RecordsUnfinished", len(left))
        traces = some_traces(_traces([intake.delivery.records[n] for n in left]))
        told = {"from_sequence": unfinished, "records": len(left), "traces": traces}
        logger().warning("batch unfinished", extra=told)


def _traces(records: Sequence[Event | Label]) -> list[str | None]:
    return [record.trace for record in records if isinstance(record, Event)]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
