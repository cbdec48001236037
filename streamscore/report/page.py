"""The report as one HTML file: charts, styles and data inside, nothing loaded from anywhere.

Text that came with events (feature names, reasons, rules) is data: Jinja2 escapes all of it, the JSON for the
charts cannot end its element, and the page's own policy lets no script run but the ones below.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from streamscore.estimate.bill import bill
from streamscore.estimate.price_file import PriceTable
from streamscore.estimate.workload import Workload
from streamscore.report import (
    calculator,
    drift_figures,
    evaluation_figures,
    figures,
    label_figures,
    lineage,
    parts,
)
from streamscore.report.content import Report
from streamscore.report.verdicts import verdicts

_HERE = Path(__file__).parent
_SCRIPTS = (
    "vendor/d3.min.js",
    "vendor/plot.umd.min.js",
    "page/estimate.js",
    "page/charts.js",
    "page/calculator.js",
)


def render(report: Report, title: str, table: PriceTable | None = None) -> str:
    """The whole page; the calculator's prices are the table's, by default the built-in ones."""
    table = table or PriceTable()
    scripts = [(_HERE / name).read_text("utf-8") for name in _SCRIPTS]
    loader = FileSystemLoader(_HERE / "page")
    page = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return page.get_template("page.html").render(
        title=title,
        report=report,
        figures=figures,
        drift_figures=drift_figures,
        evaluation_figures=evaluation_figures,
        label_figures=label_figures,
        ways=lineage.ways,
        number=parts.number,
        verdicts=verdicts(report),
        month=bill(Workload(), table.prices),
        sliders=calculator.SLIDERS,
        switches=calculator.SWITCHES,
        start=Workload(),
        policy=" ".join(f"'sha256-{_digest(script)}'" for script in scripts),
        style=Markup((_HERE / "page/page.css").read_text("utf-8")),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
        data=_json({"report": report, "estimate": calculator.settings(table)}),
        licence=(_HERE / "vendor/LICENSE").read_text("utf-8"),
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _json(data: Any) -> Markup:
    """JSON that no text in it can end: `<` is written as its escape. NaN and infinity are null."""
    text = msgspec.json.encode(data).decode().replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 - inside <script type="application/json"> only `<` matters
