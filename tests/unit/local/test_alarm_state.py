"""When an alarm goes off: `|` is a period's end, the newest period on the right."""

from typing import Any

import pytest

from streamscore.local.alarm_state import alarm_state

NOW = 1_000_000.0
MISSING = None


def alarm(**changed: Any) -> dict[str, Any]:
    asked = {
        "StateValue": "OK",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 10,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }
    return asked | changed


def state(values: list[float | None], **changed: Any) -> str:
    """The state after periods with these values, the oldest first; None is a period without data."""
    newest_first = enumerate(reversed(values))
    points = [{"Timestamp": NOW - 60 * ago - 1, "Value": v} for ago, v in newest_first if v is not None]
    return alarm_state(alarm(**changed), points, total, NOW)


def total(points: list[dict[str, Any]]) -> float | None:
    return sum(p["Value"] for p in points) if points else None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0], "OK"),
        ([0, 0, 11], "OK"),
        ([0, 10, 10], "OK"),  # at the threshold is not above it
        ([0, 11, 11], "ALARM"),
        ([11, 0, 11], "ALARM"),
        ([11, 11, 11, 0, 0], "OK"),  # what is older does not count
    ],
)
def test_as_many_of_the_newest_periods_must_be_bad_as_it_asks_for(
    values: list[float | None], expected: str
) -> None:
    assert state(values) == expected


@pytest.mark.parametrize(
    ("treat", "values", "expected"),
    [
        ("notBreaching", [MISSING, MISSING, MISSING], "OK"),
        ("breaching", [MISSING, MISSING, MISSING], "ALARM"),
        ("missing", [MISSING, MISSING, MISSING], "INSUFFICIENT_DATA"),
        ("ignore", [MISSING, MISSING, MISSING], "as it was"),
        ("notBreaching", [MISSING, MISSING, 11], "OK"),
        ("breaching", [MISSING, MISSING, 0], "ALARM"),
        ("breaching", [MISSING, 0, 0], "OK"),
        ("ignore", [MISSING, 11, 11], "ALARM"),
    ],
)
def test_a_period_without_data_is_what_the_alarm_says(
    treat: str, values: list[float | None], expected: str
) -> None:
    assert state(values, TreatMissingData=treat, StateValue="as it was") == expected


def test_all_periods_must_be_bad_unless_it_says_otherwise() -> None:
    assert state([11, 11, 0], DatapointsToAlarm=None) == "OK"
    assert state([11, 11, 11], DatapointsToAlarm=None) == "ALARM"


def test_below_is_below() -> None:
    assert state([10, 9, 9], ComparisonOperator="LessThanThreshold") == "ALARM"
    assert state([10, 10, 9], ComparisonOperator="LessThanThreshold") == "OK"


def test_points_of_one_period_go_together_and_one_from_the_future_is_new() -> None:
    points = [{"Timestamp": NOW - ago, "Value": 6} for ago in (0, 59, 60, 119)]
    assert alarm_state(alarm(), points, total, NOW) == "ALARM"
    ahead = [{"Timestamp": NOW + 5, "Value": 11}]
    assert alarm_state(alarm(EvaluationPeriods=1, DatapointsToAlarm=1), ahead, total, NOW) == "ALARM"
