"""Has DynamoDB export what no export covers yet, and waits for it: minutes, whatever the size."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from common.errors import InvalidInputError
from streamscore.decided.coverage import SLACK_MS, Stretch, gaps, windows
from streamscore.decided.exports import PREFIX, Bucket, finished

PAUSE_S = 20.0


class Source(NamedTuple):
    """A table with point-in-time recovery, the bucket its exports go to, and who is told what is waited for.
    `sleep` is given, so that tests need not wait.
    """

    dynamodb: Any
    table: str
    bucket: Bucket
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep


def covered(source: Source, since_ms: int, until_ms: int | None) -> None:
    """See to it that exports cover what was decided in [since, until), as far as the table can be exported
    now: to some minutes ago. InvalidInputError if an export fails.
    """
    earliest_ms, latest_ms = _restorable(source)
    end_ms = latest_ms if until_ms is None else min(until_ms + SLACK_MS, latest_ms)
    missing = gaps(finished(source.bucket), Stretch(since_ms, end_ms))
    started = list(_start(source, missing, earliest_ms, latest_ms))
    if started:
        source.say(f"{len(started)} exports of {source.table} to wait for: minutes, whatever its size")
    for arn in started:
        _wait(source, arn)


def _start(source: Source, missing: list[Stretch], earliest_ms: int, latest_ms: int) -> Iterator[str]:
    """Exports of the gaps; where they reach behind what can be restored, one of the whole table instead."""
    arn = source.dynamodb.describe_table(TableName=source.table)["Table"]["TableArn"]
    if any(gap.from_ms < earliest_ms for gap in missing):
        yield _export(source, arn, {"ExportTime": latest_ms // 1000, "ExportType": "FULL_EXPORT"})
        return
    for gap in missing:
        for window in windows(gap):
            times = {
                "ExportFromTime": max(window.from_ms, earliest_ms) // 1000,
                "ExportToTime": min(window.to_ms, latest_ms) // 1000,
                "ExportViewType": "NEW_IMAGE",
            }
            asked = {"ExportType": "INCREMENTAL_EXPORT", "IncrementalExportSpecification": times}
            yield _export(source, arn, asked)


def _export(source: Source, table_arn: str, asked: dict[str, Any]) -> str:
    """Its ARN. Asking twice for the same is one export: the token is made of what is asked."""
    token = hashlib.sha256(repr((table_arn, source.bucket.name, sorted(asked.items()))).encode()).hexdigest()
    told = source.dynamodb.export_table_to_point_in_time(
        TableArn=table_arn,
        S3Bucket=source.bucket.name,
        S3Prefix=PREFIX,
        ExportFormat="DYNAMODB_JSON",
        ClientToken=token[:32],
        **asked,
    )
    return str(told["ExportDescription"]["ExportArn"])


def _wait(source: Source, arn: str) -> None:
    began_s = time.monotonic()
    while True:
        told = source.dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
        if told["ExportStatus"] == "COMPLETED":
            return
        if told["ExportStatus"] == "FAILED":
            why = f"{told.get('FailureCode')}: {told.get('FailureMessage')}"
            raise InvalidInputError(f"export {arn.rpartition('/')[2]} of {source.table} failed: {why}")
        source.sleep(PAUSE_S)
        source.say(f"export {arn.rpartition('/')[2]}: {time.monotonic() - began_s:.0f} s")


def _restorable(source: Source) -> tuple[int, int]:
    """The first and the last moment that can be exported."""
    told = source.dynamodb.describe_continuous_backups(TableName=source.table)["ContinuousBackupsDescription"]
    recovery = told.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise InvalidInputError(f"{source.table} has no point-in-time recovery, so it cannot be exported")
    earliest, latest = (recovery[f"{which}RestorableDateTime"] for which in ("Earliest", "Latest"))
    return int(earliest.timestamp() * 1000), int(latest.timestamp() * 1000)
