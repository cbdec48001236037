"""How long answers take: cold starts, the stream's latency, the API at a given concurrency. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from common.prices import PRICES, Price
from common.pricing import cost_usd
from streamscore.estimate.flow import api_ms, api_usage, flow, lanes_for
from streamscore.estimate.workload import Workload

POLLED_MS, FAN_OUT_MS = 892.0, 302.0
"""Median from arrival to decision, warm: docs/latency.md, on paper."""
GATEWAY_MS = 15.0
"""What an HTTP API adds: 10 to 20 ms (docs/latency.md [5])."""
ENVIRONMENT_H = 2.0
"""How long an execution environment lives: assumed; AWS promises nothing."""


@dataclass(frozen=True, slots=True)
class Stream:
    """`cold_share` is of invocations; `latency_ms` the median, with the cold ones' part added on average."""

    cold_share: float
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Api:
    """`POST /predict` at `requests_per_s`: the stack's API load, or if it has none, one request an event.

    `executions_a_minute` is what the given concurrency works off at most.
    """

    requests_per_s: float
    on_the_bill: bool
    cold_share: float
    latency_ms: float
    executions_a_minute: float
    usd_per_million: float


def stream(workload: Workload) -> Stream:
    """Each lane of features and scoring starts anew every two hours, after init and the model's load."""
    lanes = lanes_for(workload)
    used = flow(workload, workload.events_per_s, lanes)
    busy = {used.features: lanes.events, used.scoring: lanes.state}
    starts_per_s = math.fsum(min(b.per_s, many / (ENVIRONMENT_H * 3600)) for b, many in busy.items())
    share = starts_per_s / math.fsum(b.per_s for b in busy) if workload.events_per_s else 0.0
    warm = FAN_OUT_MS if workload.fan_out else POLLED_MS
    return Stream(share, warm + share * cold_ms(workload))


def api(workload: Workload, prices: Mapping[str, Price] = PRICES) -> Api:
    """The API's figures over the day's profile."""
    rate = workload.api_per_s or workload.events_per_s
    share = _api_cold_share(workload, rate)
    ms = api_ms(workload) + share * cold_ms(workload)
    return Api(
        requests_per_s=rate,
        on_the_bill=bool(workload.api_per_s),
        cold_share=share,
        latency_ms=GATEWAY_MS + ms,
        executions_a_minute=workload.concurrency * 60_000 / ms,
        usd_per_million=cost_usd(api_usage(workload, 1e6), prices),
    )


def cold_ms(workload: Workload) -> float:
    """What a cold start adds: the runtime's and our imports, and the model's load."""
    return workload.init_ms + workload.load_ms


def _api_cold_share(workload: Workload, rate: float) -> float:
    """Of a day's requests: environments (Little's law, rounded up) renewed every two hours, and those that an
    hour needs beyond the hour before.
    """
    needed = [math.ceil(rate * factor * api_ms(workload) / 1000) for factor in workload.profile]
    renewed = math.fsum(needed) / ENVIRONMENT_H
    added = sum(max(0, now - before) for before, now in zip(needed[-1:] + needed[:-1], needed, strict=True))
    requests = rate * 3600 * math.fsum(workload.profile)
    return min(1.0, (renewed + added) / requests) if requests else 0.0
