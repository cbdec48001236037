"""Metrics in the embedded metric format, which CloudWatch extracts from logs and the emulator does not.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import logging
import queue
import threading
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)

MAX_DATA_A_CALL = 1000
MAX_VALUES_A_DATUM = 150
GATHER_S = 0.5
"""Lines of so long go together: a call costs the emulator and us more CPU than the work it tells of."""
_MARK = b'"_aws"'

type Datum = dict[str, Any]


def metric_data(line: bytes) -> list[tuple[str, Datum]]:
    """The data points of one log line, each with its namespace; none when the line holds no metrics."""
    if _MARK not in line:
        return []
    try:
        document = json.loads(line)
        directives = document["_aws"]["CloudWatchMetrics"]
        at = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
        return [
            (directive["Namespace"], _datum(document, metric, dimensions, at))
            for directive in directives
            for dimensions in directive.get("Dimensions") or [[]]
            for metric in directive["Metrics"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        log.warning("a line in the embedded metric format cannot be read: %s", error)
        return []


def _datum(document: dict[str, Any], metric: dict[str, Any], dimensions: list[str], at: datetime) -> Datum:
    value = document[metric["Name"]]
    return {
        "MetricName": metric["Name"],
        "Dimensions": [{"Name": name, "Value": str(document[name])} for name in dimensions],
        "Timestamp": at,
        "Unit": metric.get("Unit", "None"),
        "Values": [float(v) for v in (value if isinstance(value, list) else [value])][:MAX_VALUES_A_DATUM],
    }


class MetricPublisher:
    """Puts the metrics that functions print to CloudWatch, in a thread of its own."""

    def __init__(self, cloudwatch: Any) -> None:
        self._cloudwatch = cloudwatch
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._thread.start()

    def offer(self, line: bytes) -> None:
        """Take one log line; returns at once."""
        if _MARK in line:
            self._lines.put(line)

    def flush(self) -> None:
        """Return when every line offered so far is published."""
        self._hurry.set()
        self._lines.join()
        self._hurry.clear()

    def close(self) -> None:
        """Publish what is left and end."""
        self._hurry.set()
        self._lines.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        ended = False
        while not ended:
            lines = [self._lines.get()]
            self._hurry.wait(GATHER_S)
            while not self._lines.empty():
                lines.append(self._lines.get())
            ended = None in lines
            self._publish([line for line in lines if line is not None])
            for _ in lines:
                self._lines.task_done()

    def _publish(self, lines: list[bytes]) -> None:
        by_namespace: dict[str, list[Datum]] = defaultdict(list)
        for line in lines:
            for namespace, datum in metric_data(line):
                by_namespace[namespace].append(datum)
        for namespace, data in by_namespace.items():
            for i in range(0, len(data), MAX_DATA_A_CALL):
                try:
                    chunk = data[i : i + MAX_DATA_A_CALL]
                    self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=chunk)
                except (
                    Exception
                ) as error:  # the thread's outermost edge: metrics must not end with one bad call
                    log.warning("metrics of %s were not published: %s", namespace, error)
