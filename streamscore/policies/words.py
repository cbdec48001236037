"""A policy in words, part by part, and what changes from one to another."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from scoring.policy import FOREVER_MS, Condition, Policy, Rule, Value
from scoring.policy_conditions import shown


class Change(NamedTuple):
    """One part of a policy before and after; None where it is not."""

    what: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """As a line of a diff: + for what is new, - for what is gone, ~ for what is another."""
        if self.before is None:
            return f"+ {self.what}: {self.after}"
        if self.after is None:
            return f"- {self.what}: {self.before}"
        return f"~ {self.what}: {self.before} → {self.after}"


def parts(policy: Policy) -> dict[str, str]:
    """Everything in it, in words, by what it is."""
    capacity = policy.daily_review_capacity
    return {
        "force": policy.force or "none",
        "fallback": policy.fallback,
        "control share": f"{policy.control_share:g}",
        "daily review capacity": "not given" if capacity is None else str(capacity),
        "gate": watch_in_words(policy.gate),
        "retrain": watch_in_words(policy.retrain),
        **{
            f"thresholds of {version}": f"review {limits.review:g}, block {limits.block:g}"
            for version, limits in policy.thresholds.items()
        },
        **{f"list {name}": f"{len(values)} values" for name, values in policy.lists.items()},
        **{f"rule {rule.name}": rule_in_words(rule) for rule in policy.rules},
        **{name: watch_in_words(part) for name, part in policy.monitoring._asdict().items()},
    }


def watch_in_words(part: NamedTuple) -> str:
    """A table of limits on a line.

    >>> watch_in_words(CostWatch()), watch_in_words(CostWatch(25.0))
    ('per_million_usd none', 'per_million_usd 25')
    """
    return ", ".join(f"{name} {_shown(value)}" for name, value in part._asdict().items())


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        if not hasattr(value, "_asdict"):
            return " ".join(value)
        return f"({watch_in_words(cast(NamedTuple, value))})"
    return "none" if value is None else str(value)


def changes(before: Policy, after: Policy) -> list[Change]:
    """What differs, in the order of `parts`; a list by how many of its values."""
    old, new = parts(before), parts(after)
    found = [Change(what, old.get(what), new.get(what)) for what in {**old, **new}]
    differing = [change for change in found if change.before != change.after]
    for name in before.lists.keys() & after.lists.keys():
        differing += _list_changes(name, before.lists[name], after.lists[name])
    return differing + _order_changes(before.rules, after.rules)


def rule_in_words(rule: Rule) -> str:
    """The rule as a sentence.

    >>> few = Condition("field", "amount", "above", (Value(100),))
    >>> rule_in_words(Rule("r", "review", (few,), (few, few), shadow=True))
    'review if amount above 100 and (amount above 100 or amount above 100) (shadow)'
    """
    every = [condition_in_words(condition) for condition in rule.all]
    some = [condition_in_words(condition) for condition in rule.any]
    either = " or ".join(some)
    tests = " and ".join([*every, *([f"({either})" if every and len(some) > 1 else either] if some else [])])
    marks = [name for name, is_so in (("override", rule.override), ("shadow", rule.shadow)) if is_so]
    return f"{rule.decision} if {tests}" + (f" ({', '.join(marks)})" if marks else "")


def condition_in_words(condition: Condition) -> str:
    """The comparison: `customer in stolen`, `amount above 5000`, `category "a" or "b"`."""
    if condition.listed:
        return f"{condition.name} in {condition.listed}"
    values = " or ".join(shown(value) for value, _ in condition.values)
    return f"{condition.name} {'is' if condition.test == 'in' else condition.test} {values}"


def expired(values: Sequence[Value], at_ms: int) -> int:
    """How many of the values no longer hold."""
    return sum(value.until_ms <= at_ms for value in values)


def _list_changes(name: str, before: Sequence[Value], after: Sequence[Value]) -> list[Change]:
    """Numbers, not the values: those may be of people."""
    old, new = _until_ms(before), _until_ms(after)
    if old == new:
        return []
    moved = sum(new[value] != until_ms for value, until_ms in old.items() if value in new)
    added, removed = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    text = f"{added} added, {removed} removed, {moved} with another end"
    return [Change(f"values of list {name}", f"{len(old)} different", text)]


def _until_ms(values: Sequence[Value]) -> Mapping[tuple[bool, object], int]:
    """Until when each value is listed; a text is never a number."""
    found: dict[tuple[bool, object], int] = {}
    for value, until_ms in values:
        key = (isinstance(value, str), value)
        found[key] = max(until_ms, found.get(key, -FOREVER_MS))
    return found


def _order_changes(before: Sequence[Rule], after: Sequence[Rule]) -> list[Change]:
    """Order decides which override comes first."""
    old, new = ([rule.name for rule in rules if rule.override] for rules in (before, after))
    both = set(old) & set(new)
    old, new = ([name for name in names if name in both] for names in (old, new))
    return [] if old == new else [Change("order of overrides", ", ".join(old), ", ".join(new))]
