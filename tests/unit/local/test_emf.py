"""Data points out of log lines."""

import json
from datetime import UTC, datetime

import pytest

from streamscore.local.emf import metric_data

LINE = {
    "_aws": {
        "Timestamp": 1_700_000_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "streamscore",
                "Dimensions": [["service", "stage"]],
                "Metrics": [
                    {"Name": "EventsApplied", "Unit": "Count"},
                    {"Name": "LatencyMs", "Unit": "Milliseconds"},
                ],
            }
        ],
    },
    "service": "scoring",
    "stage": "dev",
    "EventsApplied": 3,
    "LatencyMs": [1.5, 2.5],
}


def test_each_metric_of_a_line_is_a_datum_with_its_dimensions() -> None:
    (namespace, applied), (_, latency) = metric_data(json.dumps(LINE).encode())
    assert namespace == "streamscore"
    assert applied == {
        "MetricName": "EventsApplied",
        "Dimensions": [{"Name": "service", "Value": "scoring"}, {"Name": "stage", "Value": "dev"}],
        "Timestamp": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "Unit": "Count",
        "Values": [3.0],
    }
    assert latency["Values"] == [1.5, 2.5]


@pytest.mark.parametrize(
    "line", [b"START RequestId: 1", b'{"message":"hello"}', b'{"_aws": {}}', b'"_aws" {']
)
def test_other_lines_hold_no_metrics(line: bytes) -> None:
    assert metric_data(line) == []
