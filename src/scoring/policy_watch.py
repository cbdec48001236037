"""What a policy tells the monitor: `[drift]`, `[performance]` and `[cost]`. They decide nothing. Pure."""

from decimal import Decimal
from typing import Any

from scoring.policy_conditions import is_finite, shown
from scoring.watch import (
    REFERENCES,
    CostWatch,
    DriftLimits,
    DriftWatch,
    PerformanceLimits,
    PerformanceWatch,
    Watch,
)
from stream_features.spec_source import Source, Table

STAGES = ("alert", "retrain")
_RANGES = {
    "psi": (0, 100),
    "mean": (0, 100),
    "std": (1, 1000),
    "prediction_rate": (1, 1000),
    "label_rate": (1, 1000),
}
"""What is no share has other bounds than 0 and 1."""


def watch(source: Source) -> Watch:
    """The three tables, defaults where they say nothing; InvalidInputError names the line and the remedy."""
    return Watch(_drift(source), _performance(source), _cost(source))


def _drift(source: Source) -> DriftWatch:
    table, usual = _table(source, "drift"), DriftWatch()
    table.known_keys(usual._fields)
    reference = table.content.get("reference", usual.reference)
    if reference not in REFERENCES:
        table.refuse(f"reference must be one of {', '.join(REFERENCES)}, not {shown(reference)}", "reference")
    return DriftWatch(
        reference,
        _count(table, "min_decisions", usual.min_decisions),
        *(_limits(table, stage, getattr(usual, stage)) for stage in STAGES),
    )


def _performance(source: Source) -> PerformanceWatch:
    table, usual = _table(source, "performance"), PerformanceWatch()
    table.known_keys(usual._fields)
    return PerformanceWatch(
        _count(table, "days", usual.days, most=90),
        _count(table, "min_positives", usual.min_positives),
        table.text("amount") if "amount" in table.content else None,
        *(_limits(table, stage, getattr(usual, stage)) for stage in STAGES),
    )


def _limits[L: (DriftLimits, PerformanceLimits)](table: Table, stage: str, usual: L) -> L:
    """The limits of one stage; those it does not name are as usual."""
    content = table.content.get(stage, {})
    if not isinstance(content, dict):
        table.refuse(f"{stage!r} must be a table: [{table.name}.{stage}]", stage)
    limits = Table(table.source, f"{table.name}.{stage}", content)
    limits.known_keys(usual._fields)
    return usual._replace(**{key: _number(limits, key, *_RANGES.get(key, (0, 1))) for key in content})


def _cost(source: Source) -> CostWatch:
    table = _table(source, "cost")
    table.known_keys(CostWatch._fields)
    key = "per_million_usd"
    return CostWatch(_number(table, key, 0, 1_000_000) if key in table.content else None)


def _table(source: Source, name: str) -> Table:
    content = source.toml.get(name, {})
    table = Table(source, name, content)
    if not isinstance(content, dict):
        Table(source, "", source.toml).refuse(f"{name!r} must be a table: [{name}]", name)
    return table


def _number(table: Table, key: str, least: float, most: float) -> float:
    value: Any = table.content[key]
    number = isinstance(value, int | Decimal) and not isinstance(value, bool) and is_finite(value)
    if not number or not least < value <= most:
        table.refuse(f"{key} must be a number above {least}, at most {most}, not {shown(value)}", key)
    return float(value)


def _count(table: Table, key: str, usual: int, most: int = 1_000_000_000) -> int:
    value = table.content.get(key, usual)
    if type(value) is not int or not 1 <= value <= most:
        table.refuse(f"{key} must be a whole number from 1 to {most}, not {shown(value)}", key)
    return value
