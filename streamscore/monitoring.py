"""Reads what a stack's monitor has stored: drift from `monitor-windows`, cost from the metered metrics."""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from common.errors import InvalidInputError
from common.prices import Price
from common.pricing import METERED
from monitor import look, watching
from monitor.compare import Comparison, Distribution
from monitor.cost import NAMES, Cost, cost
from monitor.look import Point
from monitor.store import Store
from monitor.times import iso
from monitor.watching import Seen, Watched
from streamscore.room_client import RoomClient

NAMESPACE = "streamscore"
_MINUTE_S, _HOUR_S = 60, 3600
_MOST_POINTS = 1440


class Stack(Protocol):
    """What is needed of a deployed or local stack."""

    @property
    def outputs(self) -> dict[str, str]:
        """CloudFormation's outputs."""

    def client(self, service: str) -> Any:
        """A client of the stack's account, or of the emulator."""


def store_of(stack: Stack) -> Store:
    """The stack's monitoring data."""
    dynamodb, s3, ssm = (RoomClient(stack.client(service)) for service in ("dynamodb", "s3", "ssm"))
    outputs = stack.outputs
    return Store(
        outputs["MonitorTableName"], outputs["DataBucketName"], outputs["PointerPrefix"], (dynamodb, s3, ssm)
    )


def watched(stack: Stack, since: datetime, until: datetime, version: str | None = None) -> Watched:
    """What the stack's monitor saw in windows with since <= start < until of a model version, by default the
    champion, and of the challenger: comparisons, verdicts, performance, the policy's thresholds.

    `series(seen)` is one of these window by window, `distributions(seen)` its histograms. Raises
    InvalidInputError if no model is promoted, or the version is not registered.
    """
    found = watching.watched(store_of(stack), _iso(since), _iso(until), version=version)
    if found is None:
        raise InvalidInputError("no model is promoted yet; run `streamscore promote BUNDLE`")
    return found


def series(seen: Seen) -> tuple[Point, ...]:
    """Its windows in order, each compared with the same reference."""
    return look.series(seen.subject, seen.read)


def distributions(seen: Seen) -> tuple[Distribution, ...]:
    """Its histograms and the reference's: the score's, then each feature's."""
    return look.counts(seen.subject, seen.read)


def drift(
    stack: Stack, since: datetime, until: datetime, version: str | None = None
) -> tuple[str, Comparison]:
    """(model version, its windows with since <= start < until against their reference), as in `watched`."""
    looked = watched(stack, since, until, version).champion.looked
    return looked.model, looked.whole.comparison


def counted(stack: Stack, version: str, since: datetime, until: datetime) -> int:
    """Decisions the monitor counted for a model version (`none`: those no model made) in those windows."""
    store = store_of(stack)
    found = store.windows(version, _iso(since), _iso(until), store.model(version).layout)
    return sum(window.tally.decisions for window in found if not window.who.challenger)


def metered(stack: Stack, since: datetime, until: datetime, prices: Mapping[str, Price] = METERED) -> Cost:
    """What the stack's functions metered from `since` to `until`, in whole minutes (past a day, hours), at
    `prices`.
    """
    return cost(metered_sums(stack, since, until), prices)


def metered_sums(
    stack: Stack, since: datetime, until: datetime, names: Iterable[str] = NAMES
) -> dict[tuple[str, str], float]:
    """Sums of the stack's metrics of these names, by (service, name), over the time as in `metered`."""
    cloudwatch = stack.client("cloudwatch")
    sums: dict[tuple[str, str], float] = {}
    for service, name, dimensions in _listed(cloudwatch, set(names)):
        value = _sum(cloudwatch, name, dimensions, since, until)
        sums[service, name] = sums.get((service, name), 0.0) + value
    return sums


def _listed(cloudwatch: Any, wanted: set[str]) -> Iterator[tuple[str, str, list[dict[str, str]]]]:
    for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE):
        for metric in page["Metrics"]:
            if metric["MetricName"] in wanted:
                service = {d["Name"]: d["Value"] for d in metric["Dimensions"]}.get("service", "")
                yield service, metric["MetricName"], metric["Dimensions"]


def _sum(
    cloudwatch: Any, name: str, dimensions: list[dict[str, str]], since: datetime, until: datetime
) -> float:
    minutes = (until - since).total_seconds() / _MINUTE_S
    period = _MINUTE_S if minutes < _MOST_POINTS - 2 else _HOUR_S
    answer = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=dimensions,
        StartTime=_floor(since, period),
        EndTime=_floor(until, period) + timedelta(seconds=period),
        Period=period,
        Statistics=["Sum"],
    )
    return math.fsum(point["Sum"] for point in answer["Datapoints"])


def _floor(at: datetime, period_s: int) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // period_s * period_s, tz=UTC)


def _iso(at: datetime) -> str:
    return iso(at.timestamp())
