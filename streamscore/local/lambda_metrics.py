"""What Lambda itself tells CloudWatch of functions and mappings, by which alarms know of lateness and errors.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

import logging
import threading
from datetime import UTC, datetime
from typing import Any, Protocol

log = logging.getLogger(__name__)

NAMESPACE = "AWS/Lambda"
FUNCTION, MAPPING = "FunctionName", "EventSourceMappingUUID"
"""The dimensions: each metric has one."""
GATHER_S = 5.0
"""Lambda's own come by the minute; a call costs the emulator a look at every alarm."""

type _Key = tuple[str, str, str]


class Tell(Protocol):
    """`LambdaMetrics.tell`, or what stands for it."""

    def __call__(self, dimension: str, of: str, **metrics: float) -> None:
        """Take one value of each metric."""


def untold(dimension: str, of: str, **metrics: float) -> None:
    """Where nobody watches."""


class LambdaMetrics:
    """Sums up what happened and puts it to CloudWatch now and then, in a thread of its own."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch
        self._gathered: dict[_Key, list[float]] = {}
        self._gathering, self._putting = threading.Lock(), threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lambda-metrics", daemon=True)
        self._thread.start()

    def tell(self, dimension: str, of: str, **metrics: float) -> None:
        """Take one value of each metric; returns at once.

        `tell(FUNCTION, "scoring", Invocations=1, Errors=0)`
        """
        with self._gathering:
            for name, value in metrics.items():
                self._gathered.setdefault((name, dimension, of), []).append(value)

    def flush(self) -> None:
        """Return when all that was told before is published."""
        with self._putting:
            with self._gathering:
                gathered, self._gathered = self._gathered, {}
            if not gathered:
                return
            now = datetime.now(UTC)
            data = [_datum(key, values, now) for key, values in gathered.items()]
            try:
                self._cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
            except Exception as error:  # the thread's outermost edge: metrics must not end with one bad call
                log.warning("metrics of %s were not published: %s", NAMESPACE, error)

    def close(self) -> None:
        """Publish what is left and end."""
        self._over.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._over.wait(GATHER_S):
            self.flush()
        self.flush()


def _datum(key: _Key, values: list[float], at: datetime) -> dict[str, Any]:
    name, dimension, of = key
    return {
        "MetricName": name,
        "Dimensions": [{"Name": dimension, "Value": of}],
        "Timestamp": at,
        "Unit": "Milliseconds" if name == "IteratorAge" else "Count",
        "StatisticValues": {
            "SampleCount": float(len(values)),
            "Sum": sum(values),
            "Minimum": min(values),
            "Maximum": max(values),
        },
    }
