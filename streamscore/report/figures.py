"""What stands under each heading of the page: charts by name (charts.js draws them), what they say in words,
and their numbers as tables.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from monitor.compare import Row
from streamscore.report.content import Bin, Count, Drift, Report

Cells = tuple[str, ...]


class Table(NamedTuple):
    """Rows of text; the first column names the row, those in `words` are no numbers."""

    caption: str
    head: Cells
    rows: tuple[Cells, ...]
    words: frozenset[int] = frozenset({0})


class Chart(NamedTuple):
    """A drawing of page.js, its heading, and what it shows, in words."""

    name: str
    title: str
    says: str
    of: str = ""


class Figure(NamedTuple):
    """Charts that belong together, the colours they use (a CSS variable and a name), and their numbers."""

    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]
    legend: tuple[tuple[str, str], ...] = ()
    open: bool = False


SERIES = ("one", "two", "three", "four", "five", "six")
"""Colours of what has no colour of its own, in order; charts.js takes them in the same."""
ACTIONS = (("approve", "approved"), ("review", "reviewed"), ("block", "blocked"))


def number(value: float, digits: int = 0) -> str:
    """With thousands' commas; what is not known is a dash.

    >>> number(1234.5, 1), number(math.nan)
    ('1,234.5', '–')
    """
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


def percent(share: float, digits: int = 2) -> str:
    """As a percentage."""
    return f"{share:.{digits}%}" if math.isfinite(share) else "–"


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


def psi(drift: Drift) -> Figure:
    """How far each variable is from the baseline, and how that went."""
    rows = (drift.found.score, *drift.found.features)
    worst = max(rows, key=lambda row: row.psi if math.isfinite(row.psi) else -1.0)
    charts = [
        Chart(
            "psi",
            "Population stability index, by variable",
            f"Largest: {worst.name}, {number(worst.psi, 3)}; alert above {drift.psi_alert:g}. The mark is "
            "what sampling alone explains.",
        )
    ]
    legend = [("alert", "alert"), ("baseline", "explained by sampling")]
    if len(drift.over_time) > 1:
        last = drift.over_time[-1]
        charts.append(
            Chart(
                "psi_over_time",
                "PSI over time, score and worst features",
                f"{len(drift.over_time)} stretches of windows; in the last, from {last.start[:16]}, the "
                f"score's is {number(last.psi['score'], 3)}.",
            )
        )
        legend += [(colour, row.name) for colour, row in zip(SERIES, rows, strict=False)]
    table = Table(
        "Each variable against the model's baseline",
        (
            "",
            "PSI",
            "noise",
            "JS",
            "KS",
            "mean shift, σ",
            "std ratio",
            "missing",
            "in baseline",
            "out of range",
        ),
        tuple(_measures(row) for row in rows),
    )
    return Figure(tuple(charts), (table,), tuple(legend), open=True)


def drifted(row: Row, alert: float) -> bool:
    """Whether the PSI is above the alert, and above what sampling explains."""
    return row.psi > alert and row.beyond_noise


def distributions(drift: Drift) -> Figure:
    """Each variable's cells, baseline against now."""
    rows = {row.name: row for row in (drift.found.score, *drift.found.features)}
    charts, cells = [], []
    for one in drift.distributions:
        gap, cell = max(
            (abs(now - base), cell) for base, now, cell in zip(one.baseline, one.now, one.cells, strict=True)
        )
        row = rows[one.name]
        mark = ", drifted" if drifted(row, drift.psi_alert) else ""
        says = f"PSI {number(row.psi, 3)}{mark}; greatest change {gap:.1%} of decisions, in {cell}."
        charts.append(Chart("distribution", one.name, says, of=one.name))
        cells += [
            (one.name, cell, percent(base), percent(now))
            for cell, base, now in zip(one.cells, one.baseline, one.now, strict=True)
            if base or now
        ]
    head = ("variable", "values", "baseline", "now")
    table = Table("Shares of decisions by value", head, tuple(cells), frozenset({0, 1}))
    return Figure(tuple(charts), (table,), (("one", "now"), ("ink", "baseline")))


def months(report: Report) -> Figure:
    """How scores did, by month of labels."""
    shown = report.months[-6:]
    newest = shown[-1].labels
    span_ = f"{shown[0].month} to {shown[-1].month}" if len(shown) > 1 else shown[0].month
    charts = (
        Chart(
            "precision_recall",
            "Precision against recall",
            f"Labels of {span_}; average precision of the newest month "
            f"{number(newest.average_precision.value, 3)} ± {number(newest.average_precision.error, 3)}.",
        ),
        Chart(
            "calibration",
            "Calibration: score against outcome",
            f"Expected calibration error of the newest month {number(newest.calibration_error, 4)}; points "
            "on the line are scores that mean what they say. Bars are 95 % intervals; axes are square roots.",
        ),
    )
    head = (
        "month",
        "labels",
        "positive",
        "ROC AUC",
        "±",
        "AP",
        "±",
        "precision",
        "recall",
        "flagged",
        "Brier",
        "ECE",
    )
    rows = tuple(
        (
            one.month,
            number(it.labelled),
            number(it.positives),
            number(it.roc_auc.value, 3),
            number(it.roc_auc.error, 3),
            number(it.average_precision.value, 3),
            number(it.average_precision.error, 3),
            percent(it.precision),
            percent(it.recall),
            percent(it.alert_rate),
            number(it.brier, 4),
            number(it.calibration_error, 4),
        )
        for one in report.months
        for it in (one.labels,)
    )
    legend = tuple((colour, one.month) for colour, one in zip(SERIES, shown, strict=False))
    table = Table("Performance by month in which labels became known", head, rows)
    return Figure(charts, (table,), legend, open=True)


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


def span(step_s: int) -> str:
    """
    >>> span(1), span(900), span(10_800), span(86_400)
    ('second', '15 minutes', '3 hours', 'day')
    """
    units = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next((size, unit) for size, unit in units if step_s % size == 0)
    many = step_s // size
    return unit if many == 1 else f"{many} {unit}s"


def clock(one: Bin, step_s: int) -> str:
    """When a bin begins, to the second only where bins are that fine."""
    at = datetime.fromtimestamp(one.start_ms / 1000, tz=UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S" if step_s % 60 else "%Y-%m-%d %H:%M")


def _measures(row: Row) -> Cells:
    shift = f"{row.mean_shift:+.2f}" if math.isfinite(row.mean_shift) else "–"
    exact = (row.psi, row.psi_noise, row.jensen_shannon, row.kolmogorov_smirnov)
    shares: Sequence[float] = (row.missing, row.missing_baseline, row.out_of_range)
    return (
        row.name,
        *(number(value, 3) for value in exact),
        shift,
        number(row.std_ratio, 2),
        *(percent(share) for share in shares),
    )
