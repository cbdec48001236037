"""A month's bill of a workload, by component. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from common.prices import PRICES, Price
from common.pricing import METERED, Usage, cost_by_component
from streamscore.estimate.flow import Batches, Flow, Lanes, api_usage, flow, lanes_for, times, together
from streamscore.estimate.workload import Workload

HOURS = 730.0
"""A month: 365 days in twelve."""
SECONDS = HOURS * 3_600
UTILISATION = 0.7
"""At which provisioned capacity is run: autoscaling's usual target."""
_METRICS, _DASHBOARDS, _KEYS, _SECRETS = 65, 1, 1, 1  # of the template, and the names emitted
ALARM_MONTHS = 54 + 2 * 5
"""Of the template: a composite alarm costs as much as five others."""
_LOG_DAYS = 14
_INDEX_BYTES = 100  # an item's overhead in DynamoDB's storage
_GIB = 1024.0**3
_WINDOWS_A_MONTH = HOURS * 12  # of five minutes


@dataclass(frozen=True, slots=True)
class Bill:
    """US dollars a month by component; what grows with events apart from what is paid whatever happens."""

    by_component: dict[str, float]
    used_usd: float
    standing_usd: float
    events: float

    @property
    def total_usd(self) -> float:
        """All of it."""
        return math.fsum(self.by_component.values())

    @property
    def per_million_usd(self) -> float:
        """For a million events decided."""
        return self.total_usd / self.events * 1e6


def bill(workload: Workload, prices: Mapping[str, Price] = PRICES, lanes: Lanes | None = None) -> Bill:
    """The month's bill: the day's hours, each at its own rate, and what stands."""
    lanes = lanes or lanes_for(workload)
    flows = [flow(workload, rate, lanes) for rate in workload.hourly if rate]
    api = [api_usage(workload, workload.api_per_s * factor) for factor in workload.profile]
    an_hour = SECONDS / len(workload.profile)
    usage = together(*(times(one, an_hour) for one in [*(f.usage for f in flows), *api]))
    usage.lambda_requests += _WINDOWS_A_MONTH * lanes.decisions  # each window's last call
    used = cost_by_component(usage, prices)
    standing = _standing(workload, prices, lanes, flows, usage)
    events = workload.events_per_s * SECONDS * sum(workload.profile) / len(workload.profile)
    both = {part: used.get(part, 0.0) + standing.get(part, 0.0) for part in [*used, *standing]}
    return Bill(both, math.fsum(used.values()), math.fsum(standing.values()), events)


def _standing(
    workload: Workload, prices: Mapping[str, Price], lanes: Lanes, flows: list[Flow], usage: Usage
) -> dict[str, float]:
    """What is paid by the hour and the month."""
    stored = _stored_gb(workload)
    traces = math.fsum(_traces(f.features) + _traces(f.scoring) + _traces(f.monitor) for f in flows)
    traced_api = math.fsum(_sampled(workload.api_per_s * factor) for factor in workload.profile)
    amounts = {
        **stream_amounts(workload, lanes),
        "dynamodb_storage_gb_months": stored,
        "dynamodb_backup_gb_months": stored,
        "log_gb_months": usage.log_kb / 1024**2 * _LOG_DAYS * 24 / HOURS,
        "metric_months": _METRICS,
        "alarm_months": ALARM_MONTHS,
        "dashboard_months": _DASHBOARDS,
        "xray_traces": (traces + traced_api) * SECONDS / len(workload.profile),
        "kms_key_months": _KEYS,
        "secret_months": _SECRETS,
    }
    return priced(amounts, prices)


def stream_amounts(workload: Workload, lanes: Lanes) -> dict[str, float]:
    """What the events stream costs by the hour, and its fan-out consumer by the hour and the GB."""
    size = workload.event_bytes + workload.labels_share * workload.label_bytes
    gb = workload.events_per_s * SECONDS * size / _GIB
    amounts = (
        {"kinesis_stream_hours": HOURS}
        if workload.on_demand
        else {"kinesis_shard_hours": HOURS * lanes.events}
    )
    if not workload.fan_out:
        return amounts
    if workload.on_demand:
        return amounts | {"fan_out_gb_on_demand": gb}
    return amounts | {"fan_out_shard_hours": HOURS * lanes.events, "fan_out_gb": gb}


def priced(amounts: Mapping[str, float], prices: Mapping[str, Price]) -> dict[str, float]:
    """US dollars by component."""
    costs: dict[str, float] = {}
    for name, amount in amounts.items():
        part = prices[name].component
        costs[part] = costs.get(part, 0.0) + amount * prices[name].usd
    return {part: usd for part, usd in costs.items() if usd}


def provisioned_usd(workload: Workload, prices: Mapping[str, Price], lanes: Lanes) -> float:
    """A month of both tables' reads and writes at provisioned capacity that follows the hour at 70 %."""
    api = [api_usage(workload, workload.api_per_s * factor) for factor in workload.profile]
    used = [flow(workload, rate, lanes).usage for rate in workload.hourly if rate] + api
    an_hour = HOURS / len(workload.profile) / UTILISATION
    amounts = {
        "dynamodb_write_capacity_hours": math.fsum(u.dynamodb_write_units for u in used) * an_hour,
        "dynamodb_read_capacity_hours": math.fsum(u.dynamodb_read_units for u in used) * an_hour,
    }
    return math.fsum(priced(amounts, prices).values())


def metered_usd(workload: Workload, prices: Mapping[str, Price] = METERED) -> dict[str, float]:
    """What functions meter for one event, by component: nothing that stands. `workload.batch` must be set."""
    one = flow(workload, 1.0, Lanes(1, 1, 1)).usage
    return cost_by_component(one, prices)


def _stored_gb(workload: Workload) -> float:
    """States of all entities, and decisions as long as they are kept; the first 25 GB are not free here."""
    states = workload.entities * (workload.state_bytes + _INDEX_BYTES)
    if workload.entities_per_event > 1:
        states += workload.shared_entities * (workload.shared_bytes + _INDEX_BYTES)
    kept = workload.events_per_s * 86_400 * workload.retention_days
    return (states + kept * (workload.decision_bytes + _INDEX_BYTES)) / _GIB


def _traces(batches: Batches) -> float:
    return _sampled(batches.per_s)


def _sampled(per_s: float) -> float:
    """Lambda samples one invocation a second, and 5 % of the rest (developer guide, services-xray)."""
    return min(per_s, 1 + 0.05 * max(0.0, per_s - 1))
