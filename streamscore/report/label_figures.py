"""How scores did by their labels: as charts, in words, as tables."""

from monitor.fared import Labels
from streamscore.report.content import Drift, Report
from streamscore.report.parts import SERIES, Cells, Chart, Figure, Table, number, percent

_HEAD = ("labels", "positive", "ROC AUC", "±", "AP", "±", "precision", "recall", "flagged", "Brier", "ECE")


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
    rows = tuple((one.month, *_cells(one.labels)) for one in report.months)
    legend = tuple((colour, one.month) for colour, one in zip(SERIES, shown, strict=False))
    table = Table("Performance by month in which labels became known", ("month", *_HEAD), rows)
    return Figure(charts, (table,), legend, open=True)


def of_monitor(drift: Drift) -> Table | None:
    """The champion, and a challenger beside it, on matured labels, else on all that came; None of neither."""
    rows: list[Cells] = []
    for role, looked in (("champion", drift.champion), ("challenger", drift.challenger)):
        performance = looked.performance if looked else None
        if looked and performance and performance.labels:
            days = f"{performance.since} up to {performance.until}, matured"
            rows.append((f"{role} {looked.model}", days, *_cells(performance.labels)))
        elif looked and looked.arrived:
            rows.append((f"{role} {looked.model}", "all that came, not judged", *_cells(looked.arrived)))
    head = ("model", "labels of", *_HEAD)
    return Table("As the monitor counted labels", head, tuple(rows), frozenset({0, 1})) if rows else None


def _cells(it: Labels) -> Cells:
    """The columns of _HEAD."""
    return (
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
