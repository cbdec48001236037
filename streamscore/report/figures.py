"""Traffic, reasons, cost and counts: charts by name (charts.js draws them), what they say in words, and their
numbers as tables.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from streamscore.report.content import Bin, Count, Report
from streamscore.report.parts import Chart, Figure, Table, number, percent, span

ACTIONS = (("approve", "approved"), ("review", "reviewed"), ("block", "blocked"))


def traffic(report: Report) -> Figure:
    """Decisions and their latency, by time and as they are spread."""
    it, width = report.traffic, span(report.traffic.step_s)
    busiest = max(it.bins, key=lambda one: one.decided)
    slowest = max(it.bins, key=lambda one: one.p99_ms if math.isfinite(one.p99_ms) else -1.0)
    flagged = sum(one.review + one.block for one in it.bins)
    charts = (
        Chart(
            "decisions",
            f"Decisions, each {width}",
            f"{number(it.decided)} in all; most, {number(busiest.decided)}, at {clock(busiest, it.step_s)}.",
        ),
        Chart(
            "flagged",
            f"Reviewed and blocked, each {width}",
            f"{number(flagged)} in all, {percent(flagged / it.decided)} of decisions.",
        ),
        Chart(
            "latency_over_time",
            f"Latency from arrival to decision, each {width}",
            f"Slowest at {clock(slowest, it.step_s)}: 99th percentile {number(slowest.p99_ms)} ms.",
        ),
        Chart(
            "latency",
            "Decisions by latency",
            f"Half of them within {number(it.p50_ms)} ms, 99 % within {number(it.p99_ms)} ms; "
            "cells are 20 % wide.",
        ),
    )
    legend = (*ACTIONS[1:], ("one", "decisions, median latency"), ("two", "99th percentile"))
    return Figure(charts, (_by_time(report), _by_latency(report)), legend)


def _by_time(report: Report) -> Table:
    rows = tuple(
        (
            clock(one, report.traffic.step_s),
            *map(number, (one.approve, one.review, one.block)),
            number(one.p50_ms),
            number(one.p99_ms),
        )
        for one in report.traffic.bins
    )
    head = ("time, UTC", "approved", "reviewed", "blocked", "p50, ms", "p99, ms")
    return Table("Decisions and latency by time", head, rows)


def _by_latency(report: Report) -> Table:
    rows = tuple(
        (f"{number(low)} to {number(high)}" if math.isfinite(high) else f"above {number(low)}", number(count))
        for low, high, count in report.traffic.latency
    )
    return Table("Decisions by latency", ("ms", "decisions"), rows)


def reasons(report: Report) -> Figure:
    """What decisions name."""
    top = report.why[0]
    says = (
        f"{len(report.why)} reasons; most often {top.name} ({top.kind}), named by {number(top.review)} "
        f"reviewed and {number(top.block)} blocked decisions. A decision names up to three features."
    )
    rows = tuple(
        (one.name, one.kind, number(one.approve), number(one.review), number(one.block)) for one in report.why
    )
    head = ("reason", "kind", "approved", "reviewed", "blocked")
    table = Table("Reasons by decision", head, rows, frozenset({0, 1}))
    return Figure((Chart("reasons", "What decisions name as reasons", says),), (table,), ACTIONS)


def cost(report: Report) -> Figure:
    """What was metered, by component."""
    it = report.cost
    parts = sorted(it.by_component_usd.items(), key=lambda part: -part[1])
    rows = [(name, number(usd, 8), number(it.per_million_by_component_usd[name], 4)) for name, usd in parts]
    rows.append(("total", number(it.total_usd, 8), number(it.per_million_usd, 4)))
    says = (
        f"${number(it.per_million_usd, 2)} for a million decisions with their labels, of which "
        f"{parts[0][0]} {percent(parts[0][1] / it.total_usd, 0)}."
        if parts
        else "Nothing was metered."
    )
    head = ("component", "metered, USD", "per million, USD")
    table = Table("Metered cost by component", head, tuple(rows))
    return Figure((Chart("cost", "US dollars for a million decisions", says),), (table,), open=True)


def services(report: Report) -> Table:
    """What was metered, by function."""
    it = report.cost
    rows = [(name, number(usd, 8)) for name, usd in it.by_service_usd.items()]
    rows.append(("of it wasted, on work that was done again", number(it.wasted_usd, 8)))
    return Table("Metered cost by function", ("function", "metered, USD"), tuple(rows))


def counted(caption: str, counts: Iterable[Count]) -> Table:
    """Counts, each with what it counts."""
    rows = tuple((one.name, number(one.count), one.meaning) for one in counts)
    return Table(caption, ("", "count", "what it counts"), rows, frozenset({0, 2}))


def parity(report: Report) -> Table:
    """A demo's features, served against backfilled."""
    rows = tuple(
        (one.feature, number(one.compared), number(one.different), f"{one.largest_difference:g}")
        for one in report.parity
    )
    head = ("feature", "compared", "different", "largest difference")
    return Table("Served features against backfilled ones", head, rows)


def seconds(report: Report) -> Table:
    """How long a demo's steps took."""
    rows = tuple((step, number(took, 1)) for step, took in report.seconds.items())
    return Table("Time taken", ("step", "seconds"), rows)


def clock(one: Bin, step_s: int) -> str:
    """When a bin begins, to the second only where bins are that fine."""
    at = datetime.fromtimestamp(one.start_ms / 1000, tz=UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S" if step_s % 60 else "%Y-%m-%d %H:%M")
