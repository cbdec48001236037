"""Decisions from exports are those of the table itself, whichever exports there are."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import InvalidInputError
from streamscore.decided.coverage import to_read
from streamscore.decided.decisions_log import exported
from streamscore.decided.exporting import Source
from streamscore.decided.exports import PREFIX, Bucket, finished, read
from streamscore.decided.scan import scanned
from streamscore.decided.stored import Decided, decided_of
from tests import table_exports
from tests.decided import decided
from tests.integration import scoring_stack
from tests.integration.scoring_stack import ScoringStack, deliver, label, record, row

stack = scoring_stack.fresh_stack
HOUR_MS = 3_600_000
NOW_MS = 1_790_006_400_000


@pytest.fixture
def bucket(client: Callable[[str], Any]) -> Bucket:
    made = Bucket(client("s3"), f"exports-{uuid.uuid4().hex[:8]}")
    made.s3.create_bucket(Bucket=made.name)
    return made


def log(bucket: Bucket, since_ms: int = 0, until_ms: int | None = None) -> dict[str, Decided]:
    found = list(read(bucket, to_read(finished(bucket), since_ms), since_ms, until_ms))
    assert len({one.id for one in found}) == len(found)
    return {one.id: one for one in found}


def test_an_export_gives_the_decisions_that_a_scan_gives(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row(f"e{n}", 10.5 + n, float("nan")) for n in range(9)]))
    deliver(stack.wired(), record(2, [], [label("e3"), label("stub"), label("e4", value=False)]))
    items, bucket = stack.items(), Bucket(stack.client("s3"), stack.settings.data_bucket)
    table_exports.write(bucket, "01-a", table_exports.by_id(items), NOW_MS)
    dynamodb, table = stack.client("dynamodb"), stack.settings.decisions_table
    by_scan = {one.id: one for one in scanned(dynamodb, table, 0, None, segments=3)}
    assert len(by_scan) == 9
    assert log(bucket) == by_scan
    again = table_exports.by_id(items)
    table_exports.write(bucket, "02-b", again, NOW_MS, from_ms=0, prefix_in_keys=False)
    assert log(bucket) == by_scan


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_happens_between_exports_the_newest_word_counts(bucket: Bucket, data: st.DataObject) -> None:
    """Hour by hour items are made, changed and deleted; the exports give what is there in the end."""
    emptied(bucket)
    now: dict[str, Decided] = {}
    table_exports.write(bucket, "00", {}, 0)
    for hour in range(1, data.draw(st.integers(1, 4)) + 1):
        ids = data.draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
        changes: dict[str, Decided | None] = {}
        for id_ in ids:
            one = data.draw(st.none() | decided())
            changes[id_] = one and one._replace(decision=one.decision._replace(id=id_))
        now = {id_: one for id_, one in {**now, **changes}.items() if one is not None}
        if data.draw(st.booleans(), label="full"):
            items = {id_: one.item() for id_, one in now.items()}
            table_exports.write(bucket, f"{hour:02}-full", items, hour * HOUR_MS)
        else:
            told = {id_: one and one.item() for id_, one in changes.items()}
            table_exports.write(bucket, f"{hour:02}", told, hour * HOUR_MS, from_ms=(hour - 1) * HOUR_MS)
    assert log(bucket) == now
    until_ms = 1_800_000_000_000
    assert log(bucket, until_ms=until_ms) == {
        id_: one for id_, one in now.items() if one.decision.scored_at_ms < until_ms
    }


def emptied(bucket: Bucket) -> None:
    for page in bucket.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket.name):
        for entry in page.get("Contents", ()):
            bucket.s3.delete_object(Bucket=bucket.name, Key=entry["Key"])


class Table:
    """DynamoDB's exports as the guide describes them: an export is done at the second look, with what the
    table's items, which all were written an hour ago, are then.
    """

    def __init__(
        self, bucket: Bucket, items: dict[str, Any], earliest_h: int = 48, fails: bool = False
    ) -> None:
        self.bucket, self.items, self.fails = bucket, items, fails
        self.earliest_ms = NOW_MS - earliest_h * HOUR_MS
        self.asked: dict[str, dict[str, Any]] = {}
        self.looks: dict[str, int] = {}

    def describe_table(self, TableName: str) -> dict[str, Any]:
        return {"Table": {"TableArn": f"arn:table/{TableName}"}}

    def describe_continuous_backups(self, TableName: str) -> dict[str, Any]:
        earliest, latest = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (self.earliest_ms, NOW_MS))
        recovery = {
            "PointInTimeRecoveryStatus": "ENABLED",
            "EarliestRestorableDateTime": earliest,
            "LatestRestorableDateTime": latest,
        }
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def export_table_to_point_in_time(self, **asked: Any) -> dict[str, Any]:
        arn = f"arn:table/t/export/{asked['ClientToken']}"
        self.asked[arn] = asked
        return {"ExportDescription": {"ExportArn": arn}}

    def describe_export(self, ExportArn: str) -> dict[str, Any]:
        self.looks[ExportArn] = self.looks.get(ExportArn, 0) + 1
        if self.looks[ExportArn] == 1:
            return {"ExportDescription": {"ExportStatus": "IN_PROGRESS"}}
        if self.fails:
            failed = {"ExportStatus": "FAILED", "FailureCode": "S3NoSuchBucket", "FailureMessage": "gone"}
            return {"ExportDescription": failed}
        asked = self.asked[ExportArn]
        times = asked.get("IncrementalExportSpecification")
        from_ms = times["ExportFromTime"] * 1000 if times else None
        to_ms = (times["ExportToTime"] if times else asked["ExportTime"]) * 1000
        there = from_ms is None or from_ms <= NOW_MS - HOUR_MS < to_ms
        name = ExportArn.rpartition("/")[2]
        table_exports.write(self.bucket, name, self.items if there else {}, to_ms, from_ms=from_ms)
        return {"ExportDescription": {"ExportStatus": "COMPLETED"}}


def source(table: Table, said: list[str] | None = None) -> Source:
    told = [] if said is None else said
    return Source(table, "decisions", table.bucket, told.append, lambda _: None)


def items() -> dict[str, Any]:
    from tests.unit.test_bus import DECISION

    one = Decided(DECISION._replace(scored_at_ms=NOW_MS - HOUR_MS))
    return {one.id: one.item()}


def test_what_is_not_covered_is_exported_once_and_waited_for(bucket: Bucket) -> None:
    table, said = Table(bucket, items()), list[str]()
    since_ms = NOW_MS - 30 * HOUR_MS
    first = list(exported(source(table, said), since_ms, None))
    assert first == [decided_of(item) for item in table.items.values()]
    lengths = [
        (asked["IncrementalExportSpecification"]["ExportToTime"] * 1000 - NOW_MS) // HOUR_MS
        for asked in table.asked.values()
    ]
    assert lengths == [-6, 0]
    assert {asked["S3Prefix"] for asked in table.asked.values()} == {PREFIX}
    assert said[0] == "2 exports of decisions to wait for: minutes, whatever its size"
    assert list(exported(source(table), since_ms, None)) == first
    assert len(table.asked) == 2


def test_what_lies_behind_the_window_of_recovery_takes_a_full_export(bucket: Bucket) -> None:
    table = Table(bucket, items(), earliest_h=5)
    assert len(list(exported(source(table), 0, None))) == 1
    assert [asked["ExportType"] for asked in table.asked.values()] == ["FULL_EXPORT"]


def test_a_failed_export_is_one_line(bucket: Bucket) -> None:
    table = Table(bucket, items(), fails=True)
    with pytest.raises(InvalidInputError, match=r"^export \w+ of decisions failed: S3NoSuchBucket: gone$"):
        list(exported(source(table), NOW_MS - HOUR_MS, None))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, "is not there; delete that export's folder, and it is made again"),
        (b"no gzip", "is not readable"),
        (b"", "holds 0 items, its manifest says 1"),
    ],
)
def test_an_export_that_is_not_whole_is_refused(bucket: Bucket, body: bytes | None, message: str) -> None:
    table_exports.write(bucket, "01", items(), NOW_MS, files=1)
    key = f"{PREFIX}/AWSDynamoDB/01/data/010.json.gz"
    if body is None:
        bucket.s3.delete_object(Bucket=bucket.name, Key=key)
    else:
        bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=body)
    with pytest.raises(InvalidInputError, match=message):
        log(bucket)
