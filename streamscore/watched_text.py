"""What the monitor saw, as lines of text and as data."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from monitor.compare import Comparison, Row
from monitor.fared import Labels, Performance
from monitor.judge import PREDICTION_RATE, ROC_AUC, SCORE, Finding, Verdict
from monitor.look import Looked
from monitor.watching import Watched

_HEAD = ("", "PSI", "noise", "JS", "KS", "mean shift", "std ratio", "missing", "out of range")


def as_data(found: Watched) -> dict[str, Any]:
    """For JSON, which has no NaN: what is not known is null."""
    challenger = found.challenger and _looked_data(found.challenger.looked)
    data: dict[str, Any] = _plain(
        {
            "since": found.since,
            "until": found.until,
            "thresholds": {name: part._asdict() for name, part in found.watch._asdict().items()},
            "champion": _looked_data(found.champion.looked),
            "challenger": challenger,
        }
    )
    return data


def lines(found: Watched) -> list[str]:
    """The champion's table and verdict, then the challenger's."""
    told = [f"windows from {found.since} to {found.until}, by arrival", "", *_looked(found.champion.looked)]
    if found.challenger:
        told += ["", *_looked(found.challenger.looked)]
    return told


def _looked_data(looked: Looked) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(looked)
    verdict = looked.verdict
    data["verdict"] |= {
        "features": list(verdict.features),
        "score_drifted": verdict.score_drifted,
        "performance_dropped": verdict.performance_dropped,
        "retrain": verdict.retrain,
    }
    return data


def _looked(looked: Looked) -> Iterator[str]:
    comparison = looked.whole.comparison
    role = "challenger" if looked.challenger else "model"
    latency = (_number(comparison.latency_p50_ms, 0), _number(comparison.latency_p99_ms, 0))
    would = "would have flagged" if looked.challenger else "flagged"
    yield (
        f"{role} {looked.model}: {comparison.decided:,} decisions, {_percent(comparison.alert_rate)} {would}"
        + ("" if looked.challenger else f", latency p50 {latency[0]} ms, p99 {latency[1]} ms")
    )
    yield (
        f"against {_reference(comparison)}; scores that its bundle would flag "
        f"{_percent(comparison.prediction_rate)}, there {_percent(comparison.prediction_rate_reference)}"
    )
    yield ""
    width = max(len(row.name) for row in comparison.rows)
    yield _line(_HEAD, width)
    for row in comparison.rows:
        yield _line(_cells(row, looked.verdict), width)
    yield ""
    if not all(row.comparable for row in comparison.rows):
        yield "(in brackets: functions of the time alone, judged against the same hours only)"
    yield from _verdict(looked.verdict)
    yield from _performance(looked)


def _reference(comparison: Comparison) -> str:
    counted = f"{comparison.reference_decided:,} decisions"
    if comparison.reference == "seasonal":
        return f"the same hours last week ({counted})"
    return f"the bundle's baseline ({counted})"


def _cells(row: Row, verdict: Verdict) -> tuple[str, ...]:
    mark = "*" if any(f.name == row.name and f.kind != ROC_AUC for f in verdict.findings) else ""
    shift = "" if math.isnan(row.mean_shift) else f"{row.mean_shift:+.2f} σ"
    measures = (_number(x, 3) for x in (row.psi_noise, row.jensen_shannon, row.kolmogorov_smirnov))
    shares = (_percent(x) for x in (row.missing, row.out_of_range))
    psi = mark + _number(row.psi, 3) if row.comparable else f"({_number(row.psi, 3)})"
    return (row.name, psi, *measures, shift, _number(row.std_ratio, 2), *shares)


def _line(cells: tuple[str, ...], width: int) -> str:
    return cells[0].ljust(width) + "".join(cell.rjust(13) for cell in cells[1:])


def _verdict(verdict: Verdict) -> Iterator[str]:
    if not verdict.judged:
        yield "too few decisions, now or in the reference, to speak of drift"
    elif not verdict.findings:
        yield "nothing drifted"
    for finding in verdict.findings:
        yield f"* {told(finding)}"
    if verdict.retrain:
        yield "retraining is advised"


def told(finding: Finding) -> str:
    """One thing that changed: what, by how much, from what to what, and when."""
    what = finding.kind.replace("_", " ").replace("psi", "PSI").replace("roc auc", "ROC AUC")
    value = f"{what} {_number(finding.value, 3)}"
    if finding.name == SCORE and finding.kind in {PREDICTION_RATE, "label_rate"}:
        value = f"{what} changed by a factor of {_number(finding.value, 2)}"
    elif finding.kind == ROC_AUC:
        value = f"{what} fell by {_number(finding.value, 3)}"
    return (
        f"{finding.name}: {value} (noise {_number(finding.noise, 3)}), from {_number(finding.baseline, 4)} "
        f"to {_number(finding.now, 4)}, in {finding.since} to {finding.until}"
    )


def _performance(looked: Looked) -> Iterator[str]:
    performance = looked.performance
    if performance and performance.decided:
        yield from _matured(performance)
    if not performance or performance.labels is None:
        arrived = looked.arrived
        yield (f"labels that came meanwhile, not judged: {_labels(arrived)}" if arrived else "no labels yet")


def _matured(performance: Performance) -> Iterator[str]:
    labelled = performance.labels.labelled if performance.labels else 0
    yield (
        f"matured: {performance.decided:,} decisions of {performance.since} up to {performance.until}, "
        f"{labelled:,} labelled, {performance.open:,} still open; "
        f"{performance.waiting:,} later ones are too young"
    )
    if performance.labels:
        yield _labels(performance.labels)
        yield (
            f"the bundle's own ROC AUC was {_number(performance.roc_auc_baseline, 3)}, "
            f"its label rate {_percent(performance.label_rate_baseline)}"
        )


def _labels(labels: Labels) -> str:
    auc, precision = labels.roc_auc, labels.average_precision
    amounts = (labels.amount_caught, labels.amount_missed, labels.amount_flagged_wrongly)
    caught, missed, wrongly = (_number(amount, 2) for amount in amounts)
    money = f", amount caught {caught}, missed {missed}, flagged wrongly {wrongly}" if any(amounts) else ""
    return (
        f"{labels.labelled:,} labels, {labels.positives:,} positive ({_percent(labels.label_rate)}): "
        f"ROC AUC {_number(auc.value, 3)} ± {_number(auc.error, 3)} "
        f"(noise {_number(labels.roc_auc_noise, 3)}), "
        f"average precision {_number(precision.value, 3)} ± {_number(precision.error, 3)}, "
        f"precision {_percent(labels.precision)} and recall {_percent(labels.recall)} of review or block, "
        f"Brier {_number(labels.brier, 4)}, MAE {_number(labels.mae, 4)}, RMSE {_number(labels.rmse, 4)}, "
        f"calibration error {_number(labels.calibration_error, 4)}{money}"
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
        if hasattr(value, "_asdict"):
            return _plain(value._asdict())
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
