"""What decisions cost, from the sums of the metered cost metrics. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from common.pricing import COMPONENTS

TOTAL, WASTED = "EstimatedCostUSD", "WastedCostUSD"
DECISIONS, LABELS = "DecisionsMade", "LabelsStored"
NAMES: tuple[str, ...] = (TOTAL, WASTED, DECISIONS, LABELS, *(f"{part}CostUSD" for part in COMPONENTS))
"""The metrics a cost report is made of."""

Sums = Mapping[tuple[str, str], float]
"""Sum of a metric by (service, name)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars metered over some time; `per_million` is for a million decisions, NaN without any.

    The labels of that time are part of the cost: many labels of older events make decisions dear.
    """

    decisions: int
    labels: int
    total_usd: float
    wasted_usd: float
    by_component_usd: dict[str, float]
    by_service_usd: dict[str, float]
    per_million_usd: float
    per_million_by_component_usd: dict[str, float]


def cost(sums: Sums) -> Cost:
    """The cost report of these sums.

    >>> cost({("scoring", "DecisionsMade"): 500_000, ("scoring", "EstimatedCostUSD"): 0.4}).per_million_usd
    0.8
    """
    decisions = round(_sum(sums, DECISIONS))
    total = _sum(sums, TOTAL)
    parts = {part: _sum(sums, f"{part}CostUSD") for part in COMPONENTS}
    parts = {part: usd for part, usd in parts.items() if usd}
    services = sorted({service for service, name in sums if name == TOTAL})
    return Cost(
        decisions=decisions,
        labels=round(_sum(sums, LABELS)),
        total_usd=total,
        wasted_usd=_sum(sums, WASTED),
        by_component_usd=parts,
        by_service_usd={service: sums[service, TOTAL] for service in services},
        per_million_usd=_per_million(total, decisions),
        per_million_by_component_usd={part: _per_million(usd, decisions) for part, usd in parts.items()},
    )


def _sum(sums: Sums, wanted: str) -> float:
    return math.fsum(value for (_, name), value in sums.items() if name == wanted)


def _per_million(usd: float, decisions: int) -> float:
    return usd / decisions * 1e6 if decisions else math.nan
