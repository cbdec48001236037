"""The emulator's alarms as AWS evaluates them, and not at every metric that is put. Runs in its environment,
beside `emulator_launcher`.
"""

import asyncio
import time
from typing import Any

from ministack.services import cloudwatch

from streamscore.local.alarm_state import alarm_state

TOGETHER_S = 0.2
"""Metrics that are put within so long are looked at together; AWS looks once a minute."""


def evaluate_alarms_as_aws_does() -> None:
    """Only the alarm's own dimensions count, period by period; an alarm without data is as it asks to be."""

    def evaluate(alarm: dict[str, Any]) -> None:
        if not alarm.get("MetricName"):
            return
        dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm["Dimensions"]))
        points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions), [])
        name = alarm.get("ExtendedStatistic") or alarm["Statistic"]

        def statistic(some: list[dict[str, Any]]) -> Any:
            stats = cloudwatch._calc_stats(some)
            return cloudwatch._stat_value(stats, name, some) if stats else None

        _change_state(alarm, alarm_state(alarm, points, statistic, time.time()))

    cloudwatch._evaluate_alarm = evaluate


def evaluate_alarms_together() -> None:
    """Once for all metrics that come within a moment; at once for whoever asks how alarms are."""
    evaluate, describe = cloudwatch._evaluate_all_alarms, cloudwatch._describe_alarms
    due: list[asyncio.TimerHandle] = []

    def evaluate_due() -> None:
        while due:
            due.pop().cancel()
            evaluate()

    def soon() -> None:
        if not due:
            due.append(asyncio.get_running_loop().call_later(TOGETHER_S, evaluate_due))

    def described(*request: Any, **named: Any) -> Any:
        evaluate_due()
        return describe(*request, **named)

    cloudwatch._evaluate_all_alarms, cloudwatch._describe_alarms = soon, described


def _change_state(alarm: dict[str, Any], state: str) -> None:
    """Move an alarm, and tell its actions and the composite alarms above it, as ministack does."""
    old = alarm["StateValue"]
    if old == state:
        return
    reason = f"{alarm['MetricName']} against the threshold {alarm['Threshold']}"
    alarm |= {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": int(time.time())}
    cloudwatch._record_history(alarm["AlarmName"], old, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)
