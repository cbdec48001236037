"""An evaluation as a person reads it."""

from collections.abc import Callable

from scoring.bundle import Thresholds
from streamscore.evaluation.evaluate import levels
from streamscore.evaluation.measured import Evaluation, Level, Value
from streamscore.evaluation.rows import Rows


def text(found: Evaluation) -> str:
    """The table: each measure with its 95 % interval."""
    it = found.measures
    known = f"; {found.known:,} of entities known to be defrauded left out" + (
        "" if found.protocol else " of card precision"
    )
    lines = [
        f"bundle            {found.version}: {found.estimator}",
        f"rows              {found.rows:,} from {found.since[:10]} to {found.until[:10]}, {found.days} days, "
        f"{found.positives:,} positive{known}",
        "",
        f"ROC AUC           {_number(it.roc_auc)}",
        f"average precision {_number(it.average_precision)}",
        f"{f'card precision@{found.capacity}':<18}{_number(it.card_precision)}",
        f"Brier score       {_number(it.brier, 5)}",
        f"calibration error {it.calibration_error:.5f}",
        *(line for name, level in it.levels.items() for line in _level(name, level)),
        *_reference(found),
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n".join(lines)


def caught(rows: Rows, thresholds: Thresholds) -> str:
    """What reaches the thresholds."""
    found = levels(rows, thresholds).items()
    return "\n".join(line for name, level in found for line in _level(name, level))


def _level(name: str, level: Level) -> list[str]:
    rows = [
        f"{name} at {level.threshold:.6g}",
        f"  alerts a day    {_number(level.alerts_per_day, 1)}, {_share(level.alert_rate)} of events",
        f"  precision       {_share(level.precision)}",
        f"  recall          {_share(level.recall)}",
    ]
    return (
        rows if level.amount_caught is None else [*rows, f"  amount caught   {_share(level.amount_caught)}"]
    )


def _reference(found: Evaluation) -> list[str]:
    if (it := found.reference) is None:
        return []
    return [
        "",
        "scikit-learn's own predictions of the same rows",
        f"  ROC AUC         {it.roc_auc:.4f}, served less that {_number(it.roc_auc_difference, 6)}",
        f"  average precision {it.average_precision:.4f}, served less that "
        f"{_number(it.average_precision_difference, 6)}",
        f"  largest difference {it.largest_difference:.1e}, {it.flips} decided otherwise",
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
