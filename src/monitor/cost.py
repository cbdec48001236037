"""What decisions cost, from the sums of the metered cost metrics. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from common.prices import Price
from common.pricing import COMPONENTS, METERED

TOTAL, WASTED, ESTIMATED = "EstimatedCostUSD", "WastedCostUSD", "CapacityUnitsEstimated"
DECISIONS, LABELS, EVENTS = "DecisionsMade", "LabelsStored", "EventsApplied"
NAMES: tuple[str, ...] = (
    *(TOTAL, WASTED, ESTIMATED, DECISIONS, LABELS, EVENTS),
    *(f"{part}CostUSD" for part in COMPONENTS),
)
"""The metrics a cost report is made of."""

Sums = Mapping[tuple[str, str], float]
"""Sum of a metric by (service, name)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars metered over some time; `per_million` is for a million decisions, NaN without any.

    The labels of that time are part of the cost: many labels of older events make decisions dear.
    `estimated_units` are capacity units computed from item sizes, because DynamoDB's answers named none.
    """

    decisions: int
    labels: int
    total_usd: float
    wasted_usd: float
    by_component_usd: dict[str, float]
    by_service_usd: dict[str, float]
    per_million_usd: float
    per_million_by_component_usd: dict[str, float]
    estimated_units: float = 0.0


def cost(sums: Sums, prices: Mapping[str, Price] = METERED) -> Cost:
    """The cost report of these sums, which functions metered by the built-in table, at `prices`.

    A component has one price, so what it cost at another is exact: metered / built-in x other. A service's
    waste is priced as its total is.

    >>> cost({("scoring", "DecisionsMade"): 500_000, ("scoring", "LogsCostUSD"): 0.4}).per_million_usd
    0.8
    """
    parts = _priced(sums, prices)
    services = sorted({service for service, _ in parts})
    by_service = {service: _sum(parts, service=service) for service in services}
    by_component = {part: _sum(parts, name=part) for part in COMPONENTS}
    by_component = {part: usd for part, usd in by_component.items() if usd}
    decisions, total = round(_sum(sums, name=DECISIONS)), math.fsum(parts.values())
    return Cost(
        decisions=decisions,
        labels=round(_sum(sums, name=LABELS)),
        total_usd=total,
        wasted_usd=math.fsum(_wasted(sums, service, usd) for service, usd in by_service.items()),
        by_component_usd=by_component,
        by_service_usd=by_service,
        per_million_usd=per_million(total, decisions),
        per_million_by_component_usd={n: per_million(usd, decisions) for n, usd in by_component.items()},
        estimated_units=_sum(sums, name=ESTIMATED),
    )


def _priced(sums: Sums, prices: Mapping[str, Price]) -> dict[tuple[str, str], float]:
    """US dollars by (service, component)."""
    ratios = {price.component: prices[name].usd / price.usd for name, price in METERED.items()}
    named = {f"{component}CostUSD": component for component in COMPONENTS}
    return {
        (service, named[name]): usd * ratios[named[name]]
        for (service, name), usd in sums.items()
        if name in named
    }


def _wasted(sums: Sums, service: str, usd: float) -> float:
    metered = sums.get((service, TOTAL), 0.0)
    return sums.get((service, WASTED), 0.0) * (usd / metered if metered else 1.0)


def _sum(sums: Sums, *, service: str | None = None, name: str | None = None) -> float:
    return math.fsum(
        value for (of, what), value in sums.items() if service in (None, of) and name in (None, what)
    )


def per_million(usd: float, decisions: int) -> float:
    """US dollars for a million decisions; NaN without any."""
    return usd / decisions * 1e6 if decisions else math.nan
