"""An estimate, and its check, as lines for a terminal and as data for JSON."""

import math
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from streamscore.estimate.against import WITHIN, Check
from streamscore.estimate.choices import Scale
from streamscore.estimate.estimate import Estimate


def lines(found: Estimate) -> list[str]:
    """What a person reads: the bill, answers, ceilings, choices, scales, and the advice."""
    work = found.workload
    return [
        f"{work.events_per_s:,.6g} events/s (peak {work.peak:,.6g}), {work.labels_share:.0%} labelled; "
        f"prices of {found.prices.region}, {found.prices.as_of}; a month of 730 h",
        "",
        *_bill(found),
        "",
        *_answers(found),
        "",
        "how far it carries",
        *(f"  {_rate(one.events_per_s):>18}  {one.quota}" for one in found.ceilings),
        f"  first to bind: {found.first_quota.quota}; {found.first_quota.mend}",
        "",
        "the other way, USD a month",
        *(
            f"  {c.name:<13} {c.first} {c.first_usd:,.2f}; {c.second} {c.second_usd:,.2f}"
            + (f" ({c.note})" if c.note else "")
            for c in found.choices
        ),
        "",
        *_scales(found.scales),
        "",
        f"first: {found.advice}",
    ]


def check_lines(found: Check) -> list[str]:
    """The check as a table."""
    rows = sorted(found.by_component.items(), key=lambda part: -part[1][0])
    verdict = "holds" if found.holds else "does not hold"
    return [
        f"{found.events:,} events and {found.labels:,} labels, {found.batch:.1f} records an invocation",
        "",
        f"{'':<16}{'metered USD':>16}{'estimated USD':>16}{'off':>9}",
        *(_checked(name, *pair) for name, pair in rows),
        _checked("total", found.metered_usd, found.estimated_usd),
        "",
        f"the estimate {verdict}: {found.off:+.1%}, at most {WITHIN:.0%} either way",
    ]


def to_data(found: Estimate) -> dict[str, Any]:
    """For JSON: infinite is null."""
    table = found.prices
    data = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "prices"}
    data |= {"region": table.region, "prices_as_of": table.as_of, "bill": asdict(found.bill)}
    data["bill"] |= {"total_usd": found.bill.total_usd, "per_million_usd": found.bill.per_million_usd}
    finite: dict[str, Any] = _finite(data)
    return finite


def check_data(found: Check) -> dict[str, Any]:
    """For JSON."""
    return asdict(found) | {"off": found.off, "holds": found.holds}


def _bill(found: Estimate) -> list[str]:
    month = found.bill
    parts = sorted(month.by_component.items(), key=lambda part: -part[1])
    return [
        f"{'':<16}{'USD a month':>14}{'per million':>14}",
        *(_row(name, usd, usd / month.events * 1e6) for name, usd in parts),
        _row("total", month.total_usd, month.per_million_usd),
        f"of it ${month.used_usd:,.2f} by use, ${month.standing_usd:,.2f} whatever happens",
    ]


def _row(name: str, usd: float, per_million: float) -> str:
    return f"{name:<16}{usd:>14,.2f}{per_million:>14,.4f}"


def _answers(found: Estimate) -> list[str]:
    features, scoring, api = found.mean.features, found.mean.scoring, found.api
    shards = f"{found.lanes.events} shard{'s' * (found.lanes.events > 1)}"
    bill = "on the bill" if api.on_the_bill else "not on the bill"
    return [
        f"{shards}; {features.records:.1f} records an invocation of {features.ms:.0f} ms, "
        f"{scoring.records:.1f} of {scoring.ms:.0f} ms to score them",
        f"stream: {found.stream.latency_ms:,.0f} ms in the median, {found.stream.cold_share:.3%} cold starts",
        f"POST /predict at {api.requests_per_s:,.6g}/s ({bill}): {api.latency_ms:,.0f} ms, "
        f"{api.cold_share:.3%} cold, ${api.usd_per_million:.2f} a million requests, "
        f"{api.executions_a_minute:,.0f} a minute at concurrency {found.workload.concurrency:,}",
    ]


def _scales(scales: list[Scale]) -> list[str]:
    head = f"{'':>8}{'events/s':>12}{'shards':>8}{'partitions':>14}{'WCU/s':>12}{'lanes':>8}"
    told = [head + f"{'USD a month':>16}{'per million':>13}"]
    for one in scales:
        partitions = f"{one.state_partitions:,} + {one.decision_partitions:,}"
        told += [
            f"{f'x {one.factor:,}':>8}{one.events_per_s:>12,.6g}{one.shards:>8,}{partitions:>14}"
            f"{one.write_units_per_s:>12,.0f}{one.lanes:>8,}{one.month_usd:>16,.2f}{one.per_million_usd:>13,.3f}",
            f"{'':>10}binds at {_rate(one.binds.events_per_s)}: {one.binds.quota}; busiest shared item "
            f"{one.hot_writes_per_s:,.1f} writes/s",
            *(f"{'':>10}{what}" for what in one.design),
        ]
    return told


def _checked(name: str, metered: float, estimated: float) -> str:
    off = f"{estimated / metered - 1:+.1%}" if metered else "-"
    return f"{name:<16}{metered:>16.8f}{estimated:>16.8f}{off:>9}"


def _rate(events_per_s: float) -> str:
    return "never reached" if math.isinf(events_per_s) else f"{events_per_s:,.0f} events/s"


def _finite(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
