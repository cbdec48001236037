"""What the stack's functions metered, read back from CloudWatch."""

from datetime import datetime
from typing import Any, NamedTuple

from common.errors import NoAnswerError, ServiceError
from common.metrics import SERVICES
from common.telemetry import logger
from monitor.cost import DECISIONS, TOTAL, per_million

NAMESPACE = "streamscore"
PERIOD_S = 300


class Spent(NamedTuple):
    """What some time cost, and how many decisions were made in it."""

    usd: float
    decisions: int

    @property
    def per_million_usd(self) -> float:
        """NaN without decisions."""
        return per_million(self.usd, self.decisions)


class Spending:
    """The metered metrics of one stage."""

    def __init__(self, cloudwatch: Any, stage: str) -> None:
        self._cloudwatch, self._stage = cloudwatch, stage

    def between(self, since: str, until: str) -> Spent | None:
        """What was metered in [since, until), to five minutes; None if CloudWatch does not say."""
        queries = [
            _query(f"m{n}_{name.lower()}", name, service, self._stage)
            for n, service in enumerate(SERVICES)
            for name in (TOTAL, DECISIONS)
        ]
        sums = dict.fromkeys((TOTAL, DECISIONS), 0.0)
        request: dict[str, Any] = {
            "MetricDataQueries": queries,
            "StartTime": _epoch_s(since),
            "EndTime": _epoch_s(until),
        }
        try:
            while True:
                answer = self._cloudwatch.get_metric_data(**request)
                for result in answer["MetricDataResults"]:
                    name = TOTAL if result["Id"].endswith(TOTAL.lower()) else DECISIONS
                    sums[name] += sum(result.get("Values") or ())
                if not answer.get("NextToken"):
                    break
                request["NextToken"] = answer["NextToken"]
        except (NoAnswerError, ServiceError) as error:
            logger().warning("cost was not read", extra={"error": str(error)})
            return None
        return Spent(sums[TOTAL], round(sums[DECISIONS]))


def _query(id_: str, name: str, service: str, stage: str) -> dict[str, Any]:
    dimensions = [{"Name": "service", "Value": service}, {"Name": "stage", "Value": stage}]
    metric = {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions}
    return {"Id": id_, "MetricStat": {"Metric": metric, "Period": PERIOD_S, "Stat": "Sum"}}


def _epoch_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
