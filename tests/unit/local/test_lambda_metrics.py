"""What Lambda would tell CloudWatch, summed up."""

from collections.abc import Iterator
from typing import Any

import pytest

from streamscore.local.lambda_metrics import FUNCTION, LambdaMetrics


class CloudWatch:
    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []
        self.down = False

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        if self.down:
            raise OSError("no emulator")
        assert Namespace == "AWS/Lambda"
        self.data += MetricData


@pytest.fixture
def cloudwatch() -> CloudWatch:
    return CloudWatch()


@pytest.fixture
def metrics(cloudwatch: CloudWatch) -> Iterator[LambdaMetrics]:
    made = LambdaMetrics(cloudwatch)
    yield made
    made.close()


def test_what_was_told_is_put_once_as_statistics_by_metric_and_dimension(
    metrics: LambdaMetrics, cloudwatch: CloudWatch
) -> None:
    metrics.tell(FUNCTION, "f", Invocations=1, Errors=True)
    metrics.tell(FUNCTION, "f", Invocations=1, Errors=False)
    metrics.tell(FUNCTION, "f", IteratorAge=40)
    metrics.tell(FUNCTION, "g", IteratorAge=7)
    metrics.flush()
    metrics.flush()
    found = {
        (one["MetricName"], one["Dimensions"][0]["Value"]): (one["Unit"], *one["StatisticValues"].values())
        for one in cloudwatch.data
    }
    assert len(cloudwatch.data) == len(found)
    assert found == {
        ("Invocations", "f"): ("Count", 2, 2, 1, 1),
        ("Errors", "f"): ("Count", 2, 1, 0, 1),
        ("IteratorAge", "f"): ("Milliseconds", 1, 40, 40, 40),
        ("IteratorAge", "g"): ("Milliseconds", 1, 7, 7, 7),
    }


def test_an_emulator_that_does_not_answer_ends_nothing(
    metrics: LambdaMetrics, cloudwatch: CloudWatch
) -> None:
    cloudwatch.down = True
    metrics.tell(FUNCTION, "f", Invocations=1)
    metrics.flush()
    cloudwatch.down = False
    metrics.tell(FUNCTION, "f", Errors=0)
    metrics.flush()
    assert [one["MetricName"] for one in cloudwatch.data] == ["Errors"]


def test_closing_tells_what_is_left(cloudwatch: CloudWatch) -> None:
    metrics = LambdaMetrics(cloudwatch)
    metrics.tell(FUNCTION, "f", Throttles=1)
    metrics.close()
    assert [one["MetricName"] for one in cloudwatch.data] == ["Throttles"]
