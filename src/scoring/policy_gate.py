"""What a policy asks of a model before it may become the champion: the table `[gate]`. Pure."""

from decimal import Decimal
from typing import NamedTuple

from scoring.policy_conditions import is_finite, shown
from stream_features.spec_source import Source, Table


class Gate(NamedTuple):
    """The least matured labels on which champion and candidate are compared, the largest model in MB (10^6
    bytes), the longest CPU time to score one row in ms.
    """

    matured_labels: int = 1000
    model_mb: float = 50.0
    row_ms: float = 5.0


def gate(source: Source) -> Gate:
    """The table, defaults where it says nothing; InvalidInputError names the line and the remedy."""
    content = source.toml.get("gate", {})
    table = Table(source, "gate", content)
    if not isinstance(content, dict):
        table.refuse("'gate' must be a table: [gate]")
    table.known_keys(Gate._fields)
    usual = Gate()
    labels = content.get("matured_labels", usual.matured_labels)
    if type(labels) is not int or labels < 0:
        table.refuse(
            f"matured_labels must be a whole number from 0 up, not {shown(labels)}", "matured_labels"
        )
    return Gate(labels, _above_0(table, "model_mb", usual.model_mb), _above_0(table, "row_ms", usual.row_ms))


def _above_0(table: Table, key: str, usual: float) -> float:
    value = table.content.get(key, Decimal(usual))
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal)
        or not (is_finite(value) and value > 0)
    ):
        table.refuse(f"{key} must be a number above 0, not {shown(value)}", key)
    return float(value)
