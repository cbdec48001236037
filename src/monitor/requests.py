"""Why a stack should retrain: what triggers say, as reasons. Pure.

Triggers deliver at least once. A reason's id is the same each time the same thing is said, so it counts once.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

RAW = "raw-data/"
"""Objects under this prefix of the data bucket are new data."""
OBJECT, SCHEDULE, ALARM, MANUAL = "object", "schedule", "alarm", "manual"
FILES = (".csv", ".csv.gz", ".csv.xz", ".jsonl", ".parquet")
ADVISED = "RetrainingAdvised"
"""The metric whose alarm counts: others tell the same topic."""
_ID_DIGITS = 16


class Reason(NamedTuple):
    """What was said (`text`, for people) by what kind of trigger; `key` is the object's, if one is new."""

    id: str
    kind: str
    text: str
    key: str = ""


def reasons_of(event: Mapping[str, Any]) -> list[Reason]:
    """The reasons in a Lambda event: new objects and the schedule through EventBridge, alarms that went off
    through SNS, a person's request; none in anything else, or where an alarm is over.
    """
    if event.get("source") == "aws.s3":
        return list(_of_object(event["detail"]))
    if event.get("source") == SCHEDULE:
        return [_reason(SCHEDULE, str(event.get("scheduled_time", "")), "the schedule says so")]
    if event.get("source") == MANUAL:
        return [_reason(MANUAL, str(event["id"]), str(event.get("text") or "somebody asked for it"))]
    records = event.get("Records") or ()
    return [r for record in records if "Sns" in record for r in _of_alarm(record["Sns"])]


def still_on(run: str) -> Reason:
    """The alarm was on when the run had ended: labels of what changed may have been too young to teach it."""
    return _reason(ALARM, f"after {run}", f"the alarm was still on after {run}")


def _of_object(detail: Mapping[str, Any]) -> Iterator[Reason]:
    """One for a file that can be read as EVENTS; a folder's marker, or a note beside it, is none."""
    found, key = detail["object"], str(detail["object"]["key"])
    if key.startswith(RAW) and key.endswith(FILES):
        content = f"{key}\0{found.get('version-id') or found.get('etag')}\0{found.get('sequencer', '')}"
        yield _reason(OBJECT, content, f"new data: {key}", key)


def _of_alarm(message: Mapping[str, Any]) -> Iterator[Reason]:
    try:
        told = json.loads(message["Message"])
        state, name, metric = told["NewStateValue"], told["AlarmName"], told["Trigger"]["MetricName"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return
    if state == "ALARM" and metric == ADVISED:
        yield _reason(ALARM, str(message["MessageId"]), f"alarm {name}")


def _reason(kind: str, content: str, text: str, key: str = "") -> Reason:
    digest = hashlib.sha256(f"{kind}\0{content}".encode()).hexdigest()[:_ID_DIGITS]
    return Reason(digest, kind, text, key)
