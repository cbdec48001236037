"""Triggers as reasons: what counts, what does not, and that the same thing said twice is one."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.requests import reasons_of

EVENTS = Path(__file__).resolve().parents[2] / "events"


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def test_a_new_object_is_a_reason_with_its_key() -> None:
    [reason] = reasons_of(sample("retrain-new-data"))
    assert (reason.kind, reason.key) == ("object", "raw-data/november.csv")
    assert reason.text == "new data: raw-data/november.csv"


@pytest.mark.parametrize("key", ["raw-data/", "raw-data/readme.txt", "checked-data/a.csv/cleaned.parquet"])
def test_what_is_no_file_of_events_under_the_prefix_is_no_reason(key: str) -> None:
    event = sample("retrain-new-data")
    event["detail"]["object"]["key"] = key
    assert reasons_of(event) == []


def test_the_same_object_delivered_twice_is_one_reason_and_put_again_another() -> None:
    event, again = sample("retrain-new-data"), sample("retrain-new-data")
    again["id"], again["time"] = "another delivery", "2026-11-24T23:00:00Z"
    assert reasons_of(event) == reasons_of(again)
    again["detail"]["object"]["sequencer"] = "00617F08299329D190"
    assert reasons_of(event)[0].id != reasons_of(again)[0].id


def test_the_alarm_for_retraining_is_a_reason_when_it_goes_off() -> None:
    [reason] = reasons_of(sample("retrain-alarm"))
    assert reason.kind == "alarm"
    assert "RetrainingAdvisedAlarm" in reason.text


@pytest.mark.parametrize(
    "changes",
    [
        {"NewStateValue": "OK"},
        {"NewStateValue": "INSUFFICIENT_DATA"},
        {"Trigger": {"MetricName": "ModelRejected"}},
        {"Trigger": None},
    ],
)
def test_an_alarm_that_is_over_or_another_one_is_none(changes: dict[str, Any]) -> None:
    event = sample("retrain-alarm")
    message = json.loads(event["Records"][0]["Sns"]["Message"]) | changes
    event["Records"][0]["Sns"]["Message"] = json.dumps(message)
    assert reasons_of(event) == []


@pytest.mark.parametrize("message", ["Today: drift in model 1f2e", "[1]", "null"])
def test_what_else_the_topic_says_is_none(message: str) -> None:
    event = sample("retrain-alarm")
    event["Records"][0]["Sns"]["Message"] = message
    assert reasons_of(event) == []


def test_a_person_and_the_schedule_are_reasons() -> None:
    [asked] = reasons_of({"source": "manual", "id": "1", "text": "before the holidays"})
    assert (asked.kind, asked.text) == ("manual", "before the holidays")
    [due] = reasons_of({"source": "schedule", "scheduled_time": "2026-12-01T03:00:00Z"})
    assert due.kind == "schedule"
