"""Windows against their reference: as charts, in words, as tables."""

import math

from monitor.compare import BASELINE, SEASONAL, Row
from streamscore.report.content import Drift
from streamscore.report.parts import SERIES, Cells, Chart, Figure, Table, number, percent


def reference(drift: Drift) -> str:
    """What windows are compared with."""
    return {BASELINE: "the model's baseline", SEASONAL: "the same hours last week"}[
        drift.comparison.reference
    ]


def psi(drift: Drift) -> Figure:
    """How far each variable is from the reference, and how that went."""
    rows = drift.comparison.rows
    worst = max(rows, key=lambda row: row.psi if math.isfinite(row.psi) else -1.0)
    charts = [
        Chart(
            "psi",
            "Population stability index, by variable",
            f"Largest: {worst.name}, {number(worst.psi, 3)}; alert above {drift.psi_alert:g}. The mark is "
            "what sampling alone explains.",
        )
    ]
    legend = [("block", "drifted, or alert"), ("baseline", "explained by sampling")]
    if len(drift.over_time) > 1:
        last = drift.over_time[-1]
        charts.append(
            Chart(
                "psi_over_time",
                "PSI over time, score and worst features",
                f"{len(drift.over_time)} stretches of windows; in the last, from {last.start[:16]}, the "
                f"score's is {number(last.psi[rows[0].name], 3)}.",
            )
        )
        legend += [(colour, row.name) for colour, row in zip(SERIES, rows, strict=False)]
    head = ("", "PSI", "noise", "JS", "KS", "mean shift, σ", "std ratio", "missing", "before", "out of range")
    caption = f"Each variable against {reference(drift)}"
    lines = tuple(_measures(row, drift) for row in rows)
    table = Table(caption, (*head, "judged"), lines, frozenset({0, 10}))
    return Figure(tuple(charts), (table,), tuple(legend), open=True)


def distributions(drift: Drift) -> Figure:
    """Each variable's cells, reference against now."""
    rows = {row.name: row for row in drift.comparison.rows}
    charts: list[Chart] = []
    cells: list[Cells] = []
    for one in drift.distributions:
        shares = list(zip(one.cells, one.reference, one.now, strict=True))
        cell, before, now = max(shares, key=lambda share: abs(share[2] - share[1]))
        mark = ", drifted" if one.name in drift.drifted else ""
        says = (
            f"PSI {number(rows[one.name].psi, 3)}{mark}. "
            f"Greatest change: {cell}, from {before:.1%} to {now:.1%}."
        )
        charts.append(Chart("distribution", one.name, says, of=one.name))
        cells += [(one.name, *told) for told in _told(shares)]
    head = ("variable", "values", reference(drift), "now")
    table = Table("Shares of decisions by value", head, tuple(cells), frozenset({0, 1}))
    return Figure(tuple(charts), (table,), (("one", "now"), ("ink", reference(drift))))


def _told(shares: list[tuple[str, float, float]]) -> list[Cells]:
    """Cells that are not empty on both sides."""
    return [(cell, percent(before), percent(now)) for cell, before, now in shares if before or now]


def _measures(row: Row, drift: Drift) -> Cells:
    shift = f"{row.mean_shift:+.2f}" if math.isfinite(row.mean_shift) else "–"
    exact = (row.psi, row.psi_noise, row.jensen_shannon, row.kolmogorov_smirnov)
    shares = (row.missing, row.missing_reference, row.out_of_range)
    return (
        row.name,
        *(number(value, 3) for value in exact),
        shift,
        number(row.std_ratio, 2),
        *(percent(share) for share in shares),
        _judged(row, drift),
    )


def _judged(row: Row, drift: Drift) -> str:
    if not drift.champion.verdict.judged:
        return "too few decisions"
    if row.name in drift.drifted:
        return "drifted"
    return "no drift" if row.comparable else "calendar"
