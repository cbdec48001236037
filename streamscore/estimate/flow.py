"""What a rate of events uses: batches, milliseconds, capacity units, a second of it. Pure.

The way is the stack's own (docs/architecture.md); the figures named here were measured (docs/benchmarks.md)
or are AWS's (common/pricing.py, docs/cost.md).
"""

from dataclasses import dataclass, fields

from common.pricing import Usage
from streamscore.estimate.workload import Workload

BATCH_SIZE = 500
POLL_S, FAN_OUT_S, TABLE_STREAM_S = 1.0, 0.07, 0.25
"""How long records gather before an invocation: Lambda polls a Kinesis shard once a second, a DynamoDB
stream's four times (developer guide, with-kinesis, with-ddb); fan-out pushes within 70 ms."""
HEADROOM = 1.25
RECORDS_A_SHARD, BYTES_A_SHARD = 1_000, 1_048_576
UNITS_A_PARTITION = 1_000
_LEAST_PARTITIONS = 4  # of a new on-demand table: 4,000 write units/s from the start
_VCPU_MB = 1_769
_KEYS_A_ROUND, _STATEMENTS_A_ROUND = 100 * 8, 25 * 8  # of a call, eight calls at once
_FEATURES_CPU_MS, _SCORING_CPU_MS, _MONITOR_CPU_MS = 0.124, 0.032, 0.005  # a record; benchmarks/
_INVOCATION_MS, _BUS_MS, _API_CPU_MS = 2.0, 10.0, 3.0
_LOG_KB, _LOG_KB_A_RECORD = 1.5, 0.008  # seen in the demo; a latency's value in the metrics' line
_SPREAD = 0.3


@dataclass(frozen=True, slots=True)
class Lanes:
    """How many invocations can run at once on each stream: its shards."""

    events: int
    state: int
    decisions: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.events + self.state + self.decisions


@dataclass(frozen=True, slots=True)
class Batches:
    """One stream's invocations a second, the records in each, and how long one takes."""

    per_s: float
    records: float
    ms: float


@dataclass(frozen=True, slots=True)
class Flow:
    """A second of work at one rate. `state_units` and `decision_units` are write units of each table."""

    features: Batches
    scoring: Batches
    monitor: Batches
    state_units: float
    decision_units: float
    read_units: float
    usage: Usage


def expected_units(size: float, block: int = 1_024) -> float:
    """Capacity units of an item of this mean size: E[started blocks] of sizes spread evenly +-30 % around it.

    That is the spread of state items (benchmarks/state_size.py: p99 17 to 40 % above p50). At least one.

    >>> expected_units(400), round(expected_units(1_500), 2), expected_units(4_000, 4_096) < 1.5
    (1.0, 1.97, True)
    """
    low, high = size * (1 - _SPREAD) / block, size * (1 + _SPREAD) / block
    if high <= 1:
        return 1.0
    # the integral of ceil over [a, b], less what lies below one unit
    return max(1.0, (_ceil_area(high) - _ceil_area(low)) / (high - low))


def _ceil_area(x: float) -> float:
    """The integral of ceil from 0 to x."""
    whole = int(x)
    return whole * (whole + 1) / 2 + (x - whole) * (whole + 1)


def distinct(drawn: float, among: int) -> float:
    """Expected distinct entities in a batch: n(1 - (1 - 1/n)^b), all of them as likely. Skew makes it fewer.

    >>> round(distinct(24.5, 500), 1)
    23.9
    """
    left: float = (1 - 1 / among) ** drawn
    return among * (1 - left)


def shards_for(workload: Workload, events_per_s: float) -> int:
    """Shards that carry this rate with a quarter to spare: 1,000 records/s and 1 MiB/s each."""
    records = events_per_s * workload.records_per_event / RECORDS_A_SHARD
    bytes_per_event = workload.event_bytes + workload.labels_share * workload.label_bytes
    needed = HEADROOM * max(records, events_per_s * bytes_per_event / BYTES_A_SHARD)
    return max(1, -int(-needed // 1))


def lanes_for(workload: Workload) -> Lanes:
    """The lanes of the peak: the stream's shards, and one a partition of each table, 1,000 write units/s."""
    shards = workload.shards or shards_for(workload, workload.peak)
    return _with_partitions(workload, shards, workload.peak)


def _with_partitions(workload: Workload, shards: int, events_per_s: float) -> Lanes:
    least = Lanes(shards, _LEAST_PARTITIONS, _LEAST_PARTITIONS)
    at_peak = flow(workload, events_per_s, least)
    state, decisions = (
        max(_LEAST_PARTITIONS, -int(-units // UNITS_A_PARTITION))
        for units in (at_peak.state_units, at_peak.decision_units)
    )
    return Lanes(shards, state, decisions)


def lanes_at(workload: Workload, events_per_s: float) -> Lanes:
    """As `lanes_for`, at another peak, with as many shards as it needs."""
    return _with_partitions(workload, shards_for(workload, events_per_s), events_per_s)


def flow(workload: Workload, events_per_s: float, lanes: Lanes) -> Flow:
    """What this rate uses in a second."""
    records = events_per_s * workload.records_per_event
    gather_s = FAN_OUT_S if workload.fan_out else POLL_S
    fill = _fill(workload, records / lanes.events, gather_s)
    invocations = records / fill
    primary = invocations * distinct(fill, workload.entities)
    shared = invocations * distinct(fill * (workload.entities_per_event - 1), workload.shared_entities)
    features = Batches(invocations, fill, features_ms(workload, fill))
    scoring = _scoring(workload, primary, records, lanes.state)
    monitor = _monitor(workload, records, lanes.decisions)
    state_units = primary * expected_units(workload.state_bytes)
    state_units += shared * expected_units(workload.shared_bytes)
    decision_units = records * expected_units(workload.decision_bytes)
    read_units = primary * expected_units(workload.state_bytes, 4_096)
    read_units += shared * expected_units(workload.shared_bytes, 4_096)
    read_units += invocations + events_per_s * workload.labels_share  # the cut-over mark; a label's decision
    usage = _usage(workload, events_per_s, (features, scoring, monitor))
    usage.dynamodb_write_units = state_units + decision_units
    usage.dynamodb_read_units = read_units
    return Flow(features, scoring, monitor, state_units, decision_units, read_units, usage)


def features_ms(workload: Workload, records: float) -> float:
    """How long a batch takes: primary items are read and written, then shared ones, eight calls at a time.

    A batch of 500 with calls of 10 ms: 132 ms, 3,780 records/s (measured: 3,530).
    """
    primary = distinct(records, workload.entities)
    shared = distinct(records * (workload.entities_per_event - 1), workload.shared_entities)
    rounds = sum(
        max(1.0, items / size)
        for items in (primary, shared)
        if items
        for size in (_KEYS_A_ROUND, _STATEMENTS_A_ROUND)
    )
    return rounds * workload.call_ms + _cpu(workload, _INVOCATION_MS + _FEATURES_CPU_MS * records)


def scoring_ms(workload: Workload, records: float, rows: float) -> float:
    """How long a batch of so many events' rows and their labels takes: decisions are written, labels read and
    written, flagged ones published.
    """
    rounds = max(1.0, rows / workload.records_per_event / _STATEMENTS_A_ROUND)
    labels = rows - rows / workload.records_per_event
    if labels:
        rounds += max(1.0, labels / _KEYS_A_ROUND) + max(1.0, labels / _STATEMENTS_A_ROUND)
    flagged = rows / workload.records_per_event * workload.flagged_share
    bus = _BUS_MS * flagged / 10  # ten a call
    return (
        rounds * workload.call_ms
        + bus
        + _cpu(workload, _INVOCATION_MS + _SCORING_CPU_MS * max(rows, records))
    )


def api_ms(workload: Workload) -> float:
    """How long `POST /predict` takes in its function, warm: a read and a write."""
    return 2 * workload.call_ms + _cpu(workload, _API_CPU_MS)


def _scoring(workload: Workload, images: float, rows: float, lanes: int) -> Batches:
    """The state stream holds one image a primary item written; each carries the rows of its batch."""
    fill = _fill(workload, images / lanes, TABLE_STREAM_S)
    return Batches(images / fill, fill, scoring_ms(workload, fill, fill * rows / images))


def _monitor(workload: Workload, changes: float, lanes: int) -> Batches:
    fill = _fill(workload, changes / lanes, TABLE_STREAM_S)
    return Batches(changes / fill, fill, _cpu(workload, _INVOCATION_MS + _MONITOR_CPU_MS * fill))


def _fill(workload: Workload, per_lane_s: float, gather_s: float) -> float:
    """Records an invocation: what a lane gathers, at least one, at most the mapping's batch size."""
    return workload.batch or min(float(BATCH_SIZE), max(1.0, per_lane_s * gather_s))


def _cpu(workload: Workload, ms: float) -> float:
    """Lambda gives a share of a vCPU below 1,769 MB; our work is one thread, more does not hasten it."""
    return ms * max(1.0, _VCPU_MB / workload.memory_mb)


def _usage(workload: Workload, events_per_s: float, all_batches: tuple[Batches, ...]) -> Usage:
    """All but capacity units."""
    labels = events_per_s * workload.labels_share
    sizes = ((events_per_s, workload.event_bytes), (labels, workload.label_bytes))
    usage = Usage(eventbridge_events=events_per_s * workload.flagged_share)
    for batches in all_batches:
        usage.lambda_requests += batches.per_s
        usage.lambda_gb_s += batches.per_s * batches.ms / 1000 * workload.memory_mb / 1024
        usage.log_kb += batches.per_s * _LOG_KB
    usage.log_kb += 2 * events_per_s * _LOG_KB_A_RECORD
    if workload.on_demand:
        usage.kinesis_in_kb = sum(many * max(1, -(-size // 1_024)) for many, size in sizes)
        usage.kinesis_out_kb = 0.0 if workload.fan_out else sum(many * size / 1_024 for many, size in sizes)
    else:
        usage.kinesis_put_units = sum(many * max(1, -(-size // 25_600)) for many, size in sizes)
    return usage


def api_usage(workload: Workload, requests_per_s: float) -> Usage:
    """What `POST /predict` uses in a second: it reads an event's entities and writes its decision."""
    return Usage(
        http_requests=requests_per_s,
        lambda_requests=requests_per_s,
        lambda_gb_s=requests_per_s * api_ms(workload) / 1000 * workload.memory_mb / 1024,
        dynamodb_read_units=requests_per_s * workload.entities_per_event,
        dynamodb_write_units=requests_per_s * expected_units(workload.decision_bytes),
        log_kb=requests_per_s * _LOG_KB,
    )


def times(usage: Usage, factor: float) -> Usage:
    """So much of it."""
    return Usage(**{field.name: getattr(usage, field.name) * factor for field in fields(usage)})


def together(*some: Usage) -> Usage:
    """Their sum."""
    return Usage(**{f.name: sum(getattr(one, f.name) for one in some) for f in fields(Usage)})
