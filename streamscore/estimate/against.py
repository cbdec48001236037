"""The estimate against what a stack metered: the same events, batches and shares by the model. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.errors import InvalidInputError
from common.prices import Price
from common.pricing import METERED
from monitor.cost import Sums, cost
from streamscore.estimate.bill import metered_usd
from streamscore.estimate.workload import Workload

WITHIN = 0.15
NAMES = ("EventsApplied", "LabelsApplied", "DecisionsReviewed", "DecisionsBlocked")
"""The metrics that say what was worked, beside those of cost."""


@dataclass(frozen=True, slots=True)
class Check:
    """US dollars metered and estimated for the same events. `off` is estimated / metered - 1."""

    events: int
    labels: int
    batch: float
    metered_usd: float
    estimated_usd: float
    by_component: dict[str, tuple[float, float]]

    @property
    def off(self) -> float:
        """The estimate's part too much, or too little if negative."""
        return self.estimated_usd / self.metered_usd - 1

    @property
    def holds(self) -> bool:
        """Whether the two differ by no more than 15 %."""
        return abs(self.off) <= WITHIN


def check(workload: Workload, sums: Sums, prices: Mapping[str, Price] = METERED) -> Check:
    """How near the model comes. Events, labels, batch size and flagged share are taken from the metrics; item
    sizes, entities, memory and call times from the workload.

    Raises InvalidInputError if nothing was decided in that time.
    """
    events, labels = _sum(sums, "EventsApplied"), _sum(sums, "LabelsApplied")
    usd_a_request = METERED["lambda_requests"].usd
    invocations = sums.get(("stream_features", "LambdaRequestsCostUSD"), 0.0) / usd_a_request
    if not events or not invocations:
        raise InvalidInputError("no event was applied in that time; put some, or look further back (--since)")
    flagged = _sum(sums, "DecisionsReviewed") + _sum(sums, "DecisionsBlocked")
    batch = min(500.0, max(1.0, (events + labels) / invocations))
    seen = replace(
        workload,
        batch=batch,
        labels_share=labels / events,
        flagged_share=min(1.0, flagged / events),
        api_per_s=0.0,
        on_demand=("stream_features", "KinesisInCostUSD") in sums,
    )
    estimated = {part: usd * events for part, usd in metered_usd(seen, prices).items()}
    metered = cost({at: usd for at, usd in sums.items() if at[0] != "scoring_api"}, prices).by_component_usd
    parts = {name: (metered.get(name, 0.0), estimated.get(name, 0.0)) for name in [*metered, *estimated]}
    return Check(
        events=round(events),
        labels=round(labels),
        batch=batch,
        metered_usd=math.fsum(metered.values()),
        estimated_usd=math.fsum(estimated.values()),
        by_component=parts,
    )


def _sum(sums: Sums, name: str) -> float:
    return math.fsum(value for (_, what), value in sums.items() if what == name)
