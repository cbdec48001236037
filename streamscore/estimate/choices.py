"""What could be chosen otherwise, what it would change, and what comes first. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.prices import PRICES, Price
from streamscore.estimate.answers import FAN_OUT_MS, POLLED_MS
from streamscore.estimate.bill import Bill, bill, provisioned_usd
from streamscore.estimate.ceilings import (
    SPLIT_ABOVE_SHARDS,
    TABLE_UNITS,
    Ceiling,
    ceilings,
    concurrency,
    hot_writes,
)
from streamscore.estimate.flow import flow, lanes_for
from streamscore.estimate.workload import Workload

SCALES = (1, 10, 100, 1_000)
_WARM_UNITS = 4_000
_FITTING = 787  # bytes: +30 % is 1 KB
_BASE_MB, _MODEL_FOLD = (
    250,
    3,
)  # assumed: imports and batches; a forest in ONNX Runtime takes more than its file
_KEPT_DAYS = 90
_WORTH = 0.05


@dataclass(frozen=True, slots=True)
class Choice:
    """Two ways, US dollars a month each, of the parts in which they differ."""

    name: str
    first: str
    first_usd: float
    second: str
    second_usd: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """The set-up at so many times the load, with that many more entities, and what has to change for it."""

    factor: int
    events_per_s: float
    shards: int
    state_partitions: int
    decision_partitions: int
    write_units_per_s: float
    lanes: int
    month_usd: float
    per_million_usd: float
    binds: Ceiling
    hot_writes_per_s: float
    design: tuple[str, ...]


def choices(workload: Workload, prices: Mapping[str, Price] = PRICES) -> list[Choice]:
    """DynamoDB on demand or provisioned, the stream provisioned or on demand, polled or fanned out."""
    lanes = lanes_for(workload)
    now = bill(workload, prices)
    tables = _of(now, "DynamoDbWrite", "DynamoDbRead")
    streams = {mode: _stream_usd(replace(workload, on_demand=mode), prices) for mode in (False, True)}
    fanned = {mode: _stream_usd(replace(workload, fan_out=mode), prices) for mode in (False, True)}
    capacity = provisioned_usd(workload, prices, lanes)
    latency = f"median {POLLED_MS:.0f} ms against {FAN_OUT_MS:.0f} ms"
    return [
        Choice("DynamoDB", "on demand", tables, "provisioned at 70 %", capacity, "following the hour's load"),
        Choice("Kinesis", "provisioned", streams[False], "on demand", streams[True]),
        Choice("Lambda reads", "polled", fanned[False], "enhanced fan-out", fanned[True], latency),
    ]


def scaled(workload: Workload, factor: int, prices: Mapping[str, Price] = PRICES) -> Scale:
    """The same at `factor` times the events, entities and requests, with the shards that needs."""
    grown = replace(
        workload,
        events_per_s=workload.events_per_s * factor,
        api_per_s=workload.api_per_s * factor,
        entities=workload.entities * factor,
        shared_entities=workload.shared_entities * factor,
        shards=workload.shards if factor == 1 else None,
    )
    lanes = lanes_for(grown)
    at_peak = flow(grown, grown.peak, lanes)
    month = bill(grown, prices, lanes)
    units = at_peak.usage.dynamodb_write_units
    return Scale(
        factor=factor,
        events_per_s=grown.events_per_s,
        shards=lanes.events,
        state_partitions=lanes.state,
        decision_partitions=lanes.decisions,
        write_units_per_s=units,
        lanes=lanes.total,
        month_usd=month.total_usd,
        per_million_usd=month.per_million_usd,
        binds=ceilings(grown)[0],
        hot_writes_per_s=hot_writes(grown, grown.peak, lanes),
        design=tuple(_design(grown, lanes.events, max(at_peak.state_units, at_peak.decision_units))),
    )


def advice(workload: Workload, prices: Mapping[str, Price] = PRICES) -> str:
    """What to improve first, in one line: what does not fit, then the first quota if the peak is beyond it,
    else the change that saves most.
    """
    needed_mb = _BASE_MB + _MODEL_FOLD * workload.model_mb
    if needed_mb > workload.memory_mb:
        return f"give the functions more memory: the model needs about {needed_mb:,.0f} MB"
    first = ceilings(workload)[0]
    if first.events_per_s < workload.peak:
        return f"{first.mend}: the peak of {workload.peak:,.0f} events/s is beyond {first.quota}"
    now = bill(workload, prices).total_usd
    what, saved = max(_savings(workload, prices, now).items(), key=lambda one: one[1])
    if saved < _WORTH * now:
        return f"nothing saves 5 %; to carry more than {first.events_per_s:,.0f} events/s: {first.mend}"
    return f"{what}: saves ${saved:,.0f} a month ({saved / now:.0%})"


def _savings(workload: Workload, prices: Mapping[str, Price], now: float) -> dict[str, float]:
    """US dollars a month by what is changed."""
    smaller = {name: min(getattr(workload, name), _FITTING) for name in ("state_bytes", "shared_bytes")}
    changed = {
        "keep state items below 1 KB (shorter windows, fewer features)": replace(workload, **smaller),
        f"keep decisions {_KEPT_DAYS} days": replace(
            workload, retention_days=min(workload.retention_days, _KEPT_DAYS)
        ),
        "switch the stream's mode": replace(workload, on_demand=not workload.on_demand),
        "leave out enhanced fan-out": replace(workload, fan_out=False),
    }
    saved = {what: now - bill(other, prices).total_usd for what, other in changed.items()}
    tables = choices(workload, prices)[0]
    return saved | {"provision DynamoDB's capacity, with autoscaling": tables.first_usd - tables.second_usd}


def _design(workload: Workload, shards: int, table_units: float) -> list[str]:
    needed = concurrency(workload, workload.peak)
    rules = {
        f"pre-warm the tables: a new one takes {_WARM_UNITS:,} write units/s": table_units > _WARM_UNITS,
        f"ask for more than {TABLE_UNITS:,} write units/s a table": table_units > TABLE_UNITS,
        "busy shared entities split into 16 items by themselves": shards > SPLIT_ABOVE_SHARDS
        and workload.entities_per_event > 1,
        f"ask for concurrency {needed:,.0f}": needed > workload.concurrency,
        "compare Kinesis On-demand Advantage": workload.peak * workload.event_bytes > 10 * 2**20,
    }
    return [what for what, needs in rules.items() if needs]


def _stream_usd(workload: Workload, prices: Mapping[str, Price]) -> float:
    return _of(bill(workload, prices), "KinesisPut", "KinesisIn", "KinesisOut", "KinesisHours", "FanOut")


def _of(month: Bill, *parts: str) -> float:
    return sum(month.by_component.get(part, 0.0) for part in parts)
