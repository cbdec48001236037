"""When a CloudWatch alarm goes off: AWS's rule, in place of the emulator's.

Imported by the emulator's launcher, in the emulator's own environment: standard library only.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from collections.abc import Callable, Iterable
from typing import Any

type Point = dict[str, Any]
type Alarm = dict[str, Any]

_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}
_WITHOUT_DATA = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}


def alarm_state(
    alarm: Alarm, points: Iterable[Point], statistic: Callable[[list[Point]], float | None], now_s: float
) -> str:
    """The alarm's state at `now_s`: ALARM if as many of its newest periods are bad as it asks for, else OK.

    `points` are its metric's with exactly its dimensions, `statistic` what it makes of one period's (None:
    nothing). Periods end now and are (end - period, end]; what is newer counts for the newest. A period
    without data is bad, good or passed over, as the alarm says; with none at all, `ignore` leaves the state
    as it is and `missing` makes it INSUFFICIENT_DATA. AWS also looks further back for data; this does not.
    """
    looked_at = int(alarm["EvaluationPeriods"])
    values = [statistic(some) for some in _by_period(points, int(alarm["Period"]), looked_at, now_s)]
    treat = alarm.get("TreatMissingData") or "missing"
    if all(value is None for value in values):
        return _WITHOUT_DATA.get(treat, str(alarm["StateValue"]))
    breaches, threshold = _BREACHES[alarm["ComparisonOperator"]], float(alarm["Threshold"])
    bad = sum(treat == "breaching" if value is None else breaches(value, threshold) for value in values)
    return "ALARM" if bad >= int(alarm.get("DatapointsToAlarm") or looked_at) else "OK"


def _by_period(points: Iterable[Point], period_s: int, periods: int, now_s: float) -> list[list[Point]]:
    """The points of each of the newest periods, newest first."""
    found: list[list[Point]] = [[] for _ in range(periods)]
    for point in points:
        ago = max(0, int((now_s - point["Timestamp"]) // period_s))
        if ago < periods:
            found[ago].append(point)
    return found
