"""`streamscore drift`: the champion's recent decisions against its training baseline."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import msgspec

from monitor.compare import Comparison, Labels, Row
from streamscore.cli._stack import stage_options, target
from streamscore.monitoring import drift

_HEAD = ("", "PSI", "noise", "JS", "KS", "mean shift", "std ratio", "missing", "out of range")


@click.command()
@click.option("--hours", default=24.0, show_default=True, help="How far back to look, by arrival.")
@click.option("--model", "version", default="", help="A model version instead of the champion's.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(hours: float, version: str, stage: str | None, yes: bool, as_json: bool) -> None:
    """Compare recent decisions with the model's baseline; performance once labels came.

    PSI above 0.2 and above what sampling explains ("noise") is drift.
    """
    now = datetime.now(UTC)
    model, found = drift(
        target(stage, yes), now - timedelta(hours=hours), now + timedelta(minutes=1), version
    )
    if as_json:
        click.echo(json.dumps(_plain({"model": model, **msgspec.to_builtins(found)})))
        return
    for line in lines(model, found):
        click.echo(line)


def lines(model: str, found: Comparison) -> list[str]:
    """The comparison as text."""
    names = [row.name for row in (found.score, *found.features)]
    width = max(map(len, names))
    head = (
        f"model {model}: {found.decided:,} decisions, {_percent(found.alert_rate)} flagged, "
        f"latency p50 {_number(found.latency_p50_ms, 0)} ms, p99 {_number(found.latency_p99_ms, 0)} ms"
    )
    table = [_line(_HEAD, width), *(_line(_cells(row), width) for row in (found.score, *found.features))]
    few = [] if found.enough else ["too few decisions to speak of drift"]
    return [head, "", *table, "", *few, _labels(found.labels)]


def _cells(row: Row) -> tuple[str, ...]:
    mark = "*" if row.beyond_noise and row.psi > 0.2 else ""
    shift = "" if math.isnan(row.mean_shift) else f"{row.mean_shift:+.2f} σ"
    measures = (_number(x, 3) for x in (row.psi_noise, row.jensen_shannon, row.kolmogorov_smirnov))
    shares = (_percent(x) for x in (row.missing, row.out_of_range))
    return (row.name, mark + _number(row.psi, 3), *measures, shift, _number(row.std_ratio, 2), *shares)


def _line(cells: tuple[str, ...], width: int) -> str:
    return cells[0].ljust(width) + "".join(cell.rjust(13) for cell in cells[1:])


def _labels(labels: Labels | None) -> str:
    if labels is None:
        return "no labels yet"
    auc, precision = labels.roc_auc, labels.average_precision
    return (
        f"{labels.labelled:,} labels, {labels.positives:,} positive: "
        f"ROC AUC {_number(auc.value, 3)} ± {_number(auc.error, 3)}, "
        f"average precision {_number(precision.value, 3)} ± {_number(precision.error, 3)}, "
        f"precision {_percent(labels.precision)} and recall {_percent(labels.recall)} of review or block, "
        f"Brier {_number(labels.brier, 4)}, calibration error {_number(labels.calibration_error, 4)}"
    )


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def _percent(share: float) -> str:
    return f"{share:.2%}" if math.isfinite(share) else "-"


def _plain(value: Any) -> Any:
    """JSON has no NaN: what is not known is null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
