"""How far a set-up carries: the greatest rate each quota allows, and the first that binds. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from streamscore.estimate.flow import (
    BATCH_SIZE,
    BYTES_A_SHARD,
    RECORDS_A_SHARD,
    UNITS_A_PARTITION,
    Lanes,
    api_ms,
    expected_units,
    features_ms,
    flow,
    lanes_at,
    lanes_for,
)
from streamscore.estimate.workload import Workload

TABLE_UNITS = 40_000
"""Write units/s of a table, an account's default quota (DynamoDB developer guide, Service quotas)."""
SPLIT_ABOVE_SHARDS, SUB_ITEMS = 16, 16
"""`stream_features.sharing`: a shared entity that more shards write is split into so many items."""
_SERIAL = 0.62
"""What optimistic writers reach of one item's 1/(read + write): 62 batches/s of 100 at 5 ms a call
(benchmarks/contention.py, 32 lanes)."""
_FAR = 1e9


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A quota, the events/s at which it is reached (infinite: never in this set-up), and what lifts it."""

    quota: str
    events_per_s: float
    mend: str


def ceilings(workload: Workload) -> list[Ceiling]:
    """Every quota of the stream's way, the first to bind first."""
    lanes = lanes_for(workload)
    per_event = workload.records_per_event
    size = workload.event_bytes + workload.labels_share * workload.label_bytes
    lane = BATCH_SIZE / features_ms(workload, BATCH_SIZE) * 1000
    found = [
        Ceiling("Kinesis: 1,000 records/s a shard", lanes.events * RECORDS_A_SHARD / per_event, "add shards"),
        Ceiling(
            "Kinesis: 1 MiB/s a shard", lanes.events * BYTES_A_SHARD / size, "add shards or shorten events"
        ),
        Ceiling("one invocation at a time a shard", lanes.events * lane / per_event, "add shards or memory"),
        Ceiling(
            "DynamoDB: 1,000 write units/s a key (the busiest shared entity)",
            _reached(
                lambda rate: hot_writes(workload, rate, lanes) * _shared_units(workload),
                UNITS_A_PARTITION * items_of_shared(lanes),
            ),
            "split the busiest entity's key, or leave it out of the spec",
        ),
        Ceiling(
            "one item's conditional writes (the busiest shared entity)",
            _reached(lambda rate: hot_writes(workload, rate, lanes), serial_writes(workload, lanes)),
            "split the busiest entity's key, or use fewer, fuller batches",
        ),
        Ceiling(
            f"DynamoDB: {TABLE_UNITS:,} write units/s a table",
            _reached(lambda rate: _table_units(workload, rate, lanes), TABLE_UNITS),
            "ask AWS for more write units a table",
        ),
        Ceiling(
            f"Lambda: {workload.concurrency:,} invocations at once",
            _reached(lambda rate: concurrency(workload, rate), workload.concurrency),
            "ask AWS for more concurrency",
        ),
    ]
    return sorted(found, key=lambda one: one.events_per_s)


def hot_writes(workload: Workload, events_per_s: float, lanes: Lanes) -> float:
    """Writes/s of the busiest shared entity's item: one a batch that holds it, batches x (1 - (1 - h)^b)."""
    if workload.entities_per_event == 1 or not workload.hot_share:
        return 0.0
    features = flow(workload, events_per_s, lanes).features
    # no lane makes batches faster than it works them off
    per_s = min(features.per_s, lanes.events * 1000 / features.ms)
    without: float = (1 - workload.hot_share) ** features.records
    return per_s * (1 - without)


def serial_writes(workload: Workload, lanes: Lanes) -> float:
    """Writes/s that one shared entity bears: its lanes read and write in turn. One lane never conflicts."""
    if lanes.events == 1:
        return math.inf
    one_item = _SERIAL * 1000 / (2 * workload.call_ms)
    return one_item * items_of_shared(lanes)


def items_of_shared(lanes: Lanes) -> int:
    """Items that the busiest shared entity's writes spread over."""
    return SUB_ITEMS if lanes.events > SPLIT_ABOVE_SHARDS else 1


def concurrency(workload: Workload, events_per_s: float) -> float:
    """Invocations at once at this peak: one a lane, and by Little's law the API's."""
    lanes = lanes_at(workload, events_per_s)
    asked = workload.api_per_s * events_per_s / workload.events_per_s
    return lanes.total + asked * api_ms(workload) / 1000


def _shared_units(workload: Workload) -> float:
    return expected_units(workload.shared_bytes)


def _table_units(workload: Workload, events_per_s: float, lanes: Lanes) -> float:
    used = flow(workload, events_per_s, lanes)
    return max(used.state_units, used.decision_units)


def _reached(used: Callable[[float], float], limit: float) -> float:
    """The least rate at which a rising use exceeds the limit; infinite if it never does."""
    if used(_FAR) <= limit:
        return math.inf
    low, high = 1e-6, _FAR
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if used(middle) > limit else (middle, high)
    return low
