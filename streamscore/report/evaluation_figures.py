"""What `evaluate --json` found of labelled rows: as charts, in words, as tables."""

import math
from itertools import accumulate
from pathlib import Path

import msgspec

from common.errors import InvalidInputError
from streamscore.evaluation.measured import Evaluation, Level, Value
from streamscore.report.parts import Cells, Chart, Figure, Table, number, percent


def read(path: Path) -> Evaluation:
    """The file that `evaluate --json` wrote; InvalidInputError if it is another, or not there."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Evaluation)
    except OSError as error:
        raise InvalidInputError(f"--evaluation {path}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise InvalidInputError(
            f"--evaluation {path}: is not what `streamscore evaluate BUNDLE FEATURES --json` writes: {error}"
        ) from error


def about(it: Evaluation, model: str | None) -> str:
    """Which model on which rows; and whether it is another than the one that decides."""
    whose = "" if it.version == model else f" It is not the model that decides now ({model or 'none'})."
    protocol = f", by the protocol of the {it.protocol}" if it.protocol else ""
    notes = "".join(f" Note: {note}." for note in it.notes)
    return (
        f"Model {it.version} ({it.estimator}) on {number(it.rows)} labelled rows, {number(it.positives)} of "
        f"them positive, of {number(it.days)} days from {it.since[:10]} on{protocol}.{whose}{notes}"
    )


def curves(it: Evaluation) -> Figure:
    """Precision against recall, calibration, and scores by label."""
    charts = (
        *([_precision_recall(it)] if it.measures.series.recall else []),
        Chart(
            "evaluated_calibration",
            "Calibration on labelled rows",
            f"Expected calibration error {number(it.measures.calibration_error, 4)}; {_many(it)} of about as "
            "many rows. Points on the line are scores that mean what they say; axes are square roots.",
        ),
        Chart("evaluated_scores", "Scores by label", _scores(it)),
    )
    legend = (("one", "negative, and all rows"), ("two", "positive"), ("alert", "thresholds"))
    return Figure(charts, (_curve_table(it), _calibration_table(it), _scores_table(it)), legend)


def measures(it: Evaluation) -> Table:
    """Each measure with its interval."""
    found = it.measures
    rows = (
        ("ROC AUC", *_interval(found.roc_auc)),
        ("average precision", *_interval(found.average_precision)),
        (f"card precision, {number(it.capacity)} a day", *_interval(found.card_precision)),
        ("Brier score", *_interval(found.brier)),
        ("expected calibration error", number(found.calibration_error, 4), "–", "–"),
    )
    head = ("measure", "value", "95 % from", "to")
    return Table("Measures of labelled rows", head, rows)


def thresholds(it: Evaluation) -> Table:
    """What reaches each threshold."""
    rows = tuple(_level(name, level) for name, level in it.measures.levels.items())
    head = ("threshold", "at", "alerts a day", "flagged", "precision", "recall", "amount caught")
    return Table("What reaches a threshold", head, rows)


def _precision_recall(it: Evaluation) -> Chart:
    average = it.measures.average_precision
    low, high = _known(average.low), _known(average.high)
    says = f"Average precision {number(_known(average.value), 3)}"
    if math.isfinite(low):
        says += f" (95 % interval {number(low, 3)} to {number(high, 3)})"
    for name, level in it.measures.levels.items():
        precision, recall = _share(level.precision), _share(level.recall)
        says += f"; at {name} ({level.threshold:g}) precision {precision}, recall {recall}"
    return Chart("evaluated_precision_recall", "Precision against recall on labelled rows", f"{says}.")


def _many(it: Evaluation) -> str:
    groups = len(it.measures.series.calibration)
    return f"{groups} group{'s' * (groups != 1)}"


def _scores(it: Evaluation) -> str:
    found = it.measures.series
    told = [
        f"half of the {name} score below {number(_median_end(found.histogram_edges, counts), 2)}"
        for name, counts in (("negatives", found.negatives), ("positives", found.positives))
        if sum(counts)
    ]
    says = "; ".join(told).capitalize()
    return f"{says}. Counts are shown as square roots, so that few are seen beside many."


def _median_end(edges: list[float], counts: list[int]) -> float:
    """The upper edge of the cell that holds the median."""
    cell = next(at for at, reached in enumerate(accumulate(counts)) if 2 * reached >= sum(counts))
    return edges[cell + 1]


def _curve_table(it: Evaluation) -> Table:
    found = it.measures.series
    rows = tuple((percent(r), percent(p)) for r, p in zip(found.recall, found.precision, strict=True))
    return Table("Precision against recall", ("recall", "precision"), rows)


def _calibration_table(it: Evaluation) -> Table:
    rows = tuple(
        (number(one.predicted, 4), percent(one.observed), number(one.rows))
        for one in it.measures.series.calibration
    )
    return Table("Calibration", ("mean score", "positive", "rows"), rows)


def _scores_table(it: Evaluation) -> Table:
    found = it.measures.series
    cells = zip(found.histogram_edges, found.histogram_edges[1:], strict=False)
    counts = zip(found.negatives, found.positives, strict=True)
    rows = tuple(
        (f"{low:g} to {high:g}", number(negative), number(positive))
        for (low, high), (negative, positive) in zip(cells, counts, strict=True)
    )
    return Table("Scores by label", ("score", "negative", "positive"), rows)


def _level(name: str, level: Level) -> Cells:
    amount = "–" if level.amount_caught is None else _share(level.amount_caught)
    return (
        name,
        f"{level.threshold:g}",
        number(_known(level.alerts_per_day.value), 1),
        _share(level.alert_rate),
        _share(level.precision),
        _share(level.recall),
        amount,
    )


def _interval(value: Value) -> Cells:
    return tuple(number(_known(one), 4) for one in (value.value, value.low, value.high))


def _share(value: Value) -> str:
    return percent(_known(value.value), 1)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
