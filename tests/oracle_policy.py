"""A policy applied to one row at a time, straight from its TOML: slow, obvious, and nothing shared with what
ships.
"""

import math
import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

SEVERITY = {"approve": 0, "review": 1, "block": 2}


class Seen(NamedTuple):
    """One row as rules see it, by name: features float32, fields as events have them, entities; None and NaN
    are missing.
    """

    features: dict[str, np.float32]
    fields: dict[str, Any]
    entities: dict[str, str]
    score: float | None
    at: datetime
    draw: float | None


def verdict(text: str, row: Seen, review: float, block: float) -> tuple[str, tuple[str, ...], float | None]:
    """(decision, rules, propensity) of one row."""
    policy = tomllib.loads(text, parse_float=Decimal)
    fired = [rule for rule in policy.get("rule", []) if _fires(rule, row, policy.get("lists", {}))]
    names = [("shadow:" if rule.get("mode") == "shadow" else "") + rule["name"] for rule in fired]
    if "force" in policy:
        return policy["force"], ("force", *names), None
    live = [rule for rule in fired if rule.get("mode") != "shadow"]
    for rule in live:
        if rule.get("override"):
            return rule["decision"], tuple(names), None
    decisions = [_by_score(row.score, review, block, policy.get("fallback", "approve"))]
    decision = max([*decisions, *(rule["decision"] for rule in live)], key=lambda name: SEVERITY[name])
    share = policy.get("control_share", 0)
    if decision != "block" or not share or row.draw is None:
        return decision, tuple(names), None
    if Fraction(row.draw) < Fraction(float(share)):
        return "approve", (*names, "control"), float(share)
    return "block", tuple(names), float(1 - share)


def _by_score(score: float | None, review: float, block: float, fallback: str) -> str:
    if score is None or math.isnan(score):
        return fallback
    if score >= block:
        return "block"
    return "review" if score >= review else "approve"


def _fires(rule: dict[str, Any], row: Seen, lists: dict[str, Any]) -> bool:
    every = [_holds(condition, row, lists) for condition in rule.get("all", [])]
    some = [_holds(condition, row, lists) for condition in rule.get("any", [])]
    return all(every) and (not some or any(some))


def _holds(condition: dict[str, Any], row: Seen, lists: dict[str, Any]) -> bool:
    if "feature" in condition:
        value, exact = row.features.get(condition["feature"]), False
    elif "field" in condition:
        value, exact = row.fields.get(condition["field"]), True
    else:
        value, exact = row.entities.get(condition["entity"]), True
    if value is None or (not isinstance(value, str) and math.isnan(value)):
        return False
    if "above" in condition:
        return not isinstance(value, str) and _compare(value, condition["above"], exact) > 0
    if "below" in condition:
        return not isinstance(value, str) and _compare(value, condition["below"], exact) < 0
    listed = [condition["equals"]] if "equals" in condition else condition["in"]
    listed = lists[listed]["values"] if isinstance(listed, str) else listed
    return any(_equals(value, one, exact) for one in listed if _counts(one, row.at))


def _counts(one: Any, at: datetime) -> bool:
    """A date counts to the end of its day, in UTC."""
    until = one.get("until") if isinstance(one, dict) else None
    if until is None:
        return True
    if isinstance(until, datetime):
        return at < (until if until.tzinfo else until.replace(tzinfo=UTC))
    return at.astimezone(UTC).date() <= until


def _equals(value: Any, one: Any, exact: bool) -> bool:
    one = one["value"] if isinstance(one, dict) else one
    if isinstance(value, str) or isinstance(one, str):
        return isinstance(value, str) and isinstance(one, str) and value == one
    return _compare(value, one, exact) == 0


def _compare(value: Any, operand: Any, exact: bool) -> int:
    """-1, 0 or 1. Features as float32; floats as float64; decimals and integers as the fractions they are."""
    if not exact:
        mine, other = np.float32(value), np.float32(float(operand))
    elif isinstance(value, float):
        mine, other = value, float(operand)
    else:
        mine, other = Fraction(value), Fraction(operand)
    return int(mine > other) - int(mine < other)


def at(ms: int) -> datetime:
    """A moment in milliseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
