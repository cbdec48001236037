"""What came of a load: decisions of a sample of its events, ages, and what the functions metered."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Any

import numpy as np

from monitor.cost import Cost
from streamscore.decided.decisions_log import Stack
from streamscore.monitoring import metered
from streamscore.room_client import RoomClient

SAMPLE = 2_000
"""So many events, evenly over the load, are looked up among the decisions."""
KEYS_A_READ = 100
LANES = {"features": "StreamFeaturesFunctionName", "scoring": "ScoringFunctionName"}
"""The output that names the function whose iterator age says how late a lane is."""
_LOOK_S = 1.0


def sample(events: int) -> list[int]:
    """The numbers of the events to look up, the last one among them.

    >>> sample(3), len(sample(1_000_000)), sample(1_000_000)[-1]
    ([0, 1, 2], 2000, 999999)
    """
    return sorted({int(n) for n in np.linspace(0, events - 1, min(SAMPLE, events)).round()})


def latencies_ms(
    stack: Stack, ids: Sequence[str], within_s: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, int]:
    """Of each of these events that is decided, from arrival to decision; waits for all, at most so long."""
    dynamodb, table = RoomClient(stack.client("dynamodb")), stack.outputs["DecisionsTableName"]
    deadline_s, found = time.monotonic() + within_s, dict[str, int]()
    while True:
        for some in batched([id_ for id_ in ids if id_ not in found], KEYS_A_READ, strict=False):
            found |= _read(dynamodb, table, some)
        if len(found) == len(ids) or time.monotonic() >= deadline_s:
            return found
        sleep(_LOOK_S)


def _read(dynamodb: Any, table: str, ids: Sequence[str]) -> dict[str, int]:
    """One read; what it leaves out is asked for in the next round."""
    asked = {
        "Keys": [{"pk": {"S": id_}} for id_ in ids],
        "ProjectionExpression": "pk, latency_ms",
        "ConsistentRead": True,
    }
    items = dynamodb.batch_get_item(RequestItems={table: asked})["Responses"].get(table, ())
    return {item["pk"]["S"]: int(item["latency_ms"]["N"]) for item in items if "latency_ms" in item}


def ages_ms(
    stack: Stack, since: datetime, within_s: float, sleep: Callable[[float], None] = time.sleep
) -> dict[str, int]:
    """The greatest iterator age of each lane since then, in whole minutes; waits, at most so long, until
    CloudWatch knows of all lanes.
    """
    cloudwatch, deadline_s = stack.client("cloudwatch"), time.monotonic() + within_s
    while True:
        found = _ages_ms(cloudwatch, stack.outputs, since)
        if len(found) == len(LANES) or time.monotonic() >= deadline_s:
            return found
        sleep(_LOOK_S)


def _ages_ms(cloudwatch: Any, outputs: Mapping[str, str], since: datetime) -> dict[str, int]:
    found = {}
    for lane, output in LANES.items():
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="IteratorAge",
            Dimensions=[{"Name": "FunctionName", "Value": outputs[output]}],
            StartTime=since.replace(second=0, microsecond=0),
            EndTime=now() + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )
        points = [point["Maximum"] for point in answer["Datapoints"]]
        if points:
            found[lane] = round(max(points))
    return found


def cost_of(
    stack: Stack,
    since: datetime,
    decisions: int,
    within_s: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Cost:
    """What was metered since then, once so many decisions are, at most so long: metrics come minutes late."""
    deadline_s = time.monotonic() + within_s
    while True:
        found = metered(stack, since, now())
        if found.decisions >= decisions or time.monotonic() >= deadline_s:
            return found
        sleep(_LOOK_S)


def now() -> datetime:
    """This moment, UTC."""
    return datetime.now(UTC)
