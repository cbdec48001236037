"""The summary as one HTML file: no script, nothing loaded from anywhere, readable without colours."""

import math
from collections.abc import Iterable, Sequence
from html import escape

from streamscore.demo.summary import Summary

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid #d8dde3 }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.bar { width: 45% } .bar span { display: block; height: .8rem; background: #3b6fb6 }
.held { color: #17692f } .failed { color: #a11; font-weight: 600 }
"""

Row = tuple[str, float, str]  # a name, the length of its bar, the number as shown


def render(summary: Summary, title: str) -> str:
    """The whole page."""
    parts = [
        f"<h1>{escape(title)}</h1>",
        _checks(summary),
        _bars("Events", [(name, count, f"{count:,}") for name, count in summary.events.items()]),
        _bars("Decisions", [(name, count, f"{count:,}") for name, count in summary.decisions.items()]),
        _latency(summary),
        _performance(summary),
        _bars("Drift: population stability index", [(d.name, d.psi, f"{d.psi:.3f}") for d in summary.drift]),
        _cost(summary),
        _parity(summary),
        _bars("Time taken", [(step, s, f"{s:.1f} s") for step, s in summary.seconds.items()]),
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    body = "\n".join(filter(None, parts))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _checks(summary: Summary) -> str:
    rows = [
        (
            f'<span class="{"held" if check.held else "failed"}">{"held" if check.held else "FAILED"}</span>',
            escape(check.name),
            escape(check.detail),
        )
        for check in summary.checks
    ]
    return _table("Checks", ("", "", ""), rows)


def _latency(summary: Summary) -> str:
    if summary.latency is None:
        return ""
    it = summary.latency
    title = f"Latency, arrival to decision: p50 {it.p50_ms:,.0f} ms, p99 {it.p99_ms:,.0f} ms"
    return _bars(
        title,
        [(f"≤ {edge:,.0f} ms" if math.isfinite(edge) else "more", n, f"{n:,}") for edge, n in it.histogram],
    )


def _performance(summary: Summary) -> str:
    if summary.performance is None:
        return ""
    it = summary.performance
    rows = [("labels", f"{it.labelled:,}"), ("positives", f"{it.positives:,}")]
    for name, value in (("ROC AUC", it.roc_auc), ("average precision", it.average_precision)):
        rows.append((name, "—" if value is None else f"{value:.3f}"))
    return _table(f"Model {escape(summary.model or 'none')} on the labels that came back", ("", ""), rows)


def _cost(summary: Summary) -> str:
    if summary.cost is None:
        return ""
    it = summary.cost
    title = f"Cost at AWS list prices: ${it.usd_per_million_decisions:.2f} per million decisions"
    return _bars(title, [(name, usd, f"${usd:.6f}") for name, usd in it.by_function.items()])


def _parity(summary: Summary) -> str:
    rows = [
        (escape(one.feature), f"{one.compared:,}", f"{one.different:,}", f"{one.largest_difference:g}")
        for one in summary.parity
    ]
    header = ("feature", "compared", "different", "largest difference")
    return _table("Parity: served against backfilled", header, rows)


def _bars(title: str, rows: Sequence[Row]) -> str:
    """A table whose last column draws the number; NaN and infinity draw nothing."""
    longest = max((length for _, length, _ in rows if math.isfinite(length)), default=0.0)
    cells = []
    for name, length, shown in rows:
        width = 100 * length / longest if longest > 0 and math.isfinite(length) else 0.0
        cells.append((escape(name), escape(shown), f'<span style="width:{max(width, 0):.1f}%"></span>'))
    return _table(title, ("", "", ""), cells, bar=True)


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], bar: bool = False) -> str:
    """Cells are HTML already; a table of nothing is left out."""
    lines = []
    for row in rows:
        kinds = ["", *(' class="n"' for _ in row[1:])] if bar or len(row) != 3 else [""] * 3
        if bar:
            kinds[-1] = ' class="bar"'
        lines.append(
            "<tr>"
            + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
            + "</tr>"
        )
    if not lines:
        return ""
    top = "<tr>" + "".join(f"<th>{name}</th>" for name in header) + "</tr>" if any(header) else ""
    return f"<h2>{title}</h2>\n<table>{top}\n" + "\n".join(lines) + "\n</table>"
