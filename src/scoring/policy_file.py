"""`policy.toml` as a Policy; what it cannot mean is refused with its line. Pure."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from common.errors import InvalidInputError
from scoring.bundle import Thresholds
from scoring.policy import ACTIONS, CONTROL, FORCE, SHADOW, Action, Policy, Rule, Value
from scoring.policy_conditions import Lists, conditions, is_finite, shown, values
from scoring.policy_gate import gate
from scoring.policy_retrain import retrain
from scoring.policy_watch import watch
from stream_features.spec_source import Source, Table

VERSION_DIGITS = 16
FORCIBLE = ("approve", "review")
MONITORING = ("drift", "performance", "cost")
"""Tables that only the monitor reads."""
POLICY_KEYS = frozenset(
    {
        "fallback",
        "force",
        "control_share",
        "daily_review_capacity",
        "thresholds",
        "lists",
        "rule",
        "gate",
        "retrain",
        *MONITORING,
    }
)
RULE_KEYS = frozenset({"name", "decision", "all", "any", "override", "mode"})
MAX_NAME = 64


def parse(text: str, name: str = "policy.toml") -> Policy:
    """The policy written in `text`; InvalidInputError names the line, the key and the remedy."""
    source = Source(text, name)
    source.known_tables(POLICY_KEYS)
    top = Table(source, "", source.toml)
    lists = {name: _list(table) for name, table in _tables(top, "lists").items()}
    return Policy(
        version=hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS],
        fallback=_one_of(top, "fallback", ACTIONS) if "fallback" in source.toml else "approve",
        force=_one_of(top, "force", FORCIBLE) if "force" in source.toml else None,
        control_share=float(_share(top, "control_share")) if "control_share" in source.toml else 0.0,
        daily_review_capacity=_capacity(top),
        thresholds={v: _thresholds(table) for v, table in _tables(top, "thresholds").items()},
        lists=lists,
        rules=_rules(source, lists),
        monitoring=watch(source),
        gate=gate(source),
        retrain=retrain(source),
        source=name,
    )


def decode(data: bytes, version: str) -> Policy:
    """The published policy of that version; InvalidInputError if these bytes are not it, or no policy."""
    try:
        policy = parse(data.decode(), f"policy {version}")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"policy {version}: is no text: {error}") from error
    if policy.version != version:
        raise InvalidInputError(f"policy {version}: its content is that of version {policy.version}")
    return policy


def _tables(top: Table, name: str) -> dict[str, Table]:
    """The tables [name.x] by x."""
    content = top.content.get(name, {})
    if not isinstance(content, dict):
        top.refuse(f"{name!r} holds tables: [{name}.…]", name)
    found = {inner: Table(top.source, f"{name}.{inner}", table) for inner, table in content.items()}
    for inner, table in found.items():
        if not isinstance(table.content, dict):
            table.refuse(f"{name}.{inner} must be a table: [{name}.{inner}]")
    return found


def _one_of(table: Table, key: str, known: Sequence[str]) -> Action:
    value = table.content.get(key)
    if value not in known:
        table.refuse(f"{key} must be one of {', '.join(known)}, not {shown(value)}", key)
    return cast(Action, value)


def _share(table: Table, key: str) -> int | Decimal:
    value = table.content.get(key)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | Decimal)
        or not (is_finite(value) and 0 <= value <= 1)
    ):
        table.refuse(f"{key} must be a number from 0 to 1, not {shown(value)}", key)
    return value


def _capacity(top: Table) -> int | None:
    key = "daily_review_capacity"
    value = top.content.get(key)
    if value is not None and (type(value) is not int or value < 0):
        top.refuse(f"{key} must be a whole number: so many reviews people manage in a day", key)
    return value


def _thresholds(table: Table) -> Thresholds:
    table.known_keys(("review", "block"))
    limits = Thresholds(review=float(_share(table, "review")), block=float(_share(table, "block")))
    if limits.block < limits.review:
        table.refuse("block is below review", "block")
    return limits


def _list(table: Table) -> tuple[Value, ...]:
    table.known_keys(("values",))
    return values(table, "values")


def _rules(source: Source, lists: Lists) -> tuple[Rule, ...]:
    tables = source.blocks("rule") if source.toml.get("rule") else []
    rules: dict[str, Rule] = {}
    for table in tables:
        rule = _rule(table, lists)
        if rule.name in rules:
            table.refuse(f"there is a rule {rule.name!r} above: every rule needs a name of its own", "name")
        rules[rule.name] = rule
    return tuple(rules.values())


def _rule(table: Table, lists: Lists) -> Rule:
    table.known_keys(RULE_KEYS)
    name = table.text("name")
    if name in {FORCE, CONTROL} or name.startswith(SHADOW) or len(name) > MAX_NAME:
        table.refuse(
            f"name: {name!r} cannot be a rule's: it has at most {MAX_NAME} characters, and decisions use "
            f"{FORCE!r}, {CONTROL!r} and {SHADOW + '…'!r} themselves",
            "name",
        )
    if not isinstance(table.content.get("override", False), bool):
        table.refuse("override must be true or false", "override")
    every, some = (conditions(table, key, lists) for key in ("all", "any"))
    if not every and not some:
        table.refuse("has neither `all` nor `any`, so it would always fire")
    mode = table.content.get("mode", "live")
    if mode not in ("live", "shadow"):
        table.refuse(f"mode must be live or shadow, not {shown(mode)}", "mode")
    decision = _one_of(table, "decision", ACTIONS)
    return Rule(name, decision, every, some, table.content.get("override", False), mode == "shadow")
