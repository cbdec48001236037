"""What a policy says of retraining: the table `[retrain]`. It decides nothing about events. Pure."""

from decimal import Decimal
from typing import Any

from scoring.policy_conditions import is_finite, shown
from scoring.policy_watch import count_of, table_of
from scoring.retrain import Retrain
from stream_features.spec_source import Source, Table, duration_ms

MOST_DAYS = 30
_SHARES = ("quality", "gain", "agreement")
_DURATIONS = ("settle", "cool_down", "shadow", "probation")


def retrain(source: Source) -> Retrain:
    """The table, defaults where it says nothing; InvalidInputError names the line and the remedy."""
    table, usual = table_of(source, "retrain"), Retrain()
    table.known_keys((*_SHARES, "drift", *_DURATIONS, "shadow_labels", "options"))
    found: dict[str, Any] = {key: _number(table, key, 1) for key in _SHARES if key in table.content}
    found |= {"drift": _number(table, "drift", 100)} if "drift" in table.content else {}
    found |= {f"{key}_s": _duration_s(table, key) for key in _DURATIONS if key in table.content}
    found |= {"options": _options(table)} if "options" in table.content else {}
    labels = count_of(table, "shadow_labels", usual.shadow_labels)
    return usual._replace(shadow_labels=labels, **found)


def _number(table: Table, key: str, most: int) -> float:
    value: Any = table.content[key]
    number = isinstance(value, int | Decimal) and not isinstance(value, bool) and is_finite(value)
    if not number or not 0 <= value <= most:
        table.refuse(f"{key} must be a number from 0 to {most}, not {shown(value)}", key)
    return float(value)


def _duration_s(table: Table, key: str) -> int:
    value = table.content[key]
    try:
        seconds = 0 if value == "0s" else duration_ms(value) // 1_000
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= MOST_DAYS * 86_400:
        table.refuse(
            f'{key} must be a length of time up to {MOST_DAYS}d, such as "6h", not {shown(value)}', key
        )
    return seconds


def _options(table: Table) -> tuple[str, ...]:
    value = table.content["options"]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        table.refuse('options are those of `streamscore train`: ["--train", "28d"]', "options")
    return tuple(value)
