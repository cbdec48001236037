"""An evaluation as a person reads it."""

from collections.abc import Callable

from scoring.bundle import Thresholds
from streamscore.evaluation.evaluate import levels
from streamscore.evaluation.measured import Evaluation, Level, Value
from streamscore.evaluation.rows import Rows

WIDTH = 20


def text(found: Evaluation) -> str:
    """The table: each measure with its 95 % interval."""
    it = found.measures
    known = f"; {found.known:,} of entities known to be defrauded left out" + (
        "" if found.protocol else " of card precision"
    )
    rows = (
        f"{found.rows:,} from {found.since[:10]} to {found.until[:10]}, {found.days} days, "
        f"{found.positives:,} positive{known}"
    )
    lines = [
        _line("bundle", f"{found.version}: {found.estimator}"),
        _line("rows", rows),
        "",
        _line("ROC AUC", _number(it.roc_auc)),
        _line("average precision", _number(it.average_precision)),
        _line(f"card precision@{found.capacity}", _number(it.card_precision)),
        _line("Brier score", _number(it.brier, 5)),
        _line("calibration error", f"{it.calibration_error:.5f}"),
        *(line for name, level in it.levels.items() for line in _level(name, level)),
        *_reference(found),
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n".join(lines)


def caught(rows: Rows, thresholds: Thresholds) -> str:
    """What reaches the thresholds."""
    found = levels(rows, thresholds).items()
    return "\n".join(line for name, level in found for line in _level(name, level))


def _line(name: str, value: str) -> str:
    return f"{name:<{WIDTH}} {value}"


def _level(name: str, level: Level) -> list[str]:
    alerts = f"{_number(level.alerts_per_day, 1)}, {_share(level.alert_rate)} of events"
    lines = [
        f"{name} at {level.threshold:.6g}",
        _line("  alerts a day", alerts),
        _line("  precision", _share(level.precision)),
        _line("  recall", _share(level.recall)),
    ]
    if level.amount_caught is not None:
        lines.append(_line("  amount caught", _share(level.amount_caught)))
    return lines


def _reference(found: Evaluation) -> list[str]:
    if (it := found.reference) is None:
        return []
    average_precision = _number(it.average_precision_difference, 6)
    return [
        "",
        "scikit-learn's own predictions of the same rows",
        _line("  ROC AUC", f"{it.roc_auc:.4f}, served less that {_number(it.roc_auc_difference, 6)}"),
        _line("  average precision", f"{it.average_precision:.4f}, served less that {average_precision}"),
        _line("  largest difference", f"{it.largest_difference:.1e}, {it.flips} decided otherwise"),
    ]


def _number(value: Value, decimals: int = 4) -> str:
    return _shown(value, lambda number: f"{number:.{decimals}f}")


def _share(value: Value) -> str:
    return _shown(value, lambda number: f"{number:.2%}")


def _shown(value: Value, write: Callable[[float], str]) -> str:
    if value.value is None:
        return "not defined"
    if value.low is None or value.high is None:
        return write(value.value)
    return f"{write(value.value)} [{write(value.low)}, {write(value.high)}]"
