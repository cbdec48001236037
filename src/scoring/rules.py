"""A policy's rules compiled against one spec: each becomes a function from a batch's columns to the rows
where it fires.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError
from scoring.policy import Condition, Mask, Policy, Rule
from stream_features.spec import Spec

Floats = npt.NDArray[np.float32]


class Batch(NamedTuple):
    """Rows made with one spec: features [n, F] in its order, kept fields [n] in its order (decimals as scaled
    integers).
    """

    features: Floats
    kept: Sequence[Sequence[Any]]


Test = Callable[[Batch], Mask]


def check(policy: Policy, spec: Spec) -> None:
    """InvalidInputError if a rule looks at what the spec does not have: it would never fire."""
    for rule in policy.rules:
        for condition in (*rule.all, *rule.any):
            if condition.feature is not None and condition.feature not in spec.feature_names:
                raise InvalidInputError(
                    f"policy: rule {rule.name!r}: the spec has no feature {condition.feature!r}"
                )
            if condition.field is not None and condition.field not in spec.event.keep:
                raise InvalidInputError(
                    f"policy: rule {rule.name!r}: {condition.field!r} is not in `keep` of the spec's [event]"
                )


class Rules:
    """The rules of a policy for vectors of one spec. What the spec does not have counts as missing."""

    def __init__(self, policy: Policy, spec: Spec) -> None:
        self._tests = [(rule, _rule(rule, spec)) for rule in policy.rules]

    def fired(self, batch: Batch) -> list[tuple[Rule, Mask]]:
        """Each rule with the rows where it fires, in the policy's order."""
        return [(rule, test(batch)) for rule, test in self._tests]


def _rule(rule: Rule, spec: Spec) -> Test:
    every = [_condition(condition, spec) for condition in rule.all]
    some = [_condition(condition, spec) for condition in rule.any]

    def test(batch: Batch) -> Mask:
        mask = np.ones(len(batch.features), bool)
        for condition in every:
            mask &= condition(batch)
        if some:
            mask &= np.logical_or.reduce([condition(batch) for condition in some])
        return mask

    return test


def _condition(condition: Condition, spec: Spec) -> Test:
    if condition.feature is not None:
        if condition.feature not in spec.feature_names:
            return _never
        return _on_feature(condition, spec.feature_names.index(condition.feature))
    if condition.field not in spec.event.keep:
        return _never
    field = spec.fields[condition.field]
    return _on_field(
        condition, spec.event.keep.index(condition.field), field.digits if field.kind == "decimal" else 0
    )


def _never(batch: Batch) -> Mask:
    return np.zeros(len(batch.features), bool)


def _on_feature(condition: Condition, column: int) -> Test:
    """Compared as float32, as the feature itself is."""
    values = np.array([_float32(v) for v in _operands(condition)], np.float32)

    def test(batch: Batch) -> Mask:
        mine: Floats = batch.features[:, column]
        if condition.above is not None:
            return np.asarray(mine > values[0])
        return np.asarray(mine < values[0]) if condition.below is not None else _isin(mine, values)

    return test


def _on_field(condition: Condition, column: int, digits: int) -> Test:
    """Compared exactly: a decimal field's integers against the operand x 10^digits."""
    values = [_scaled(v, digits) for v in _operands(condition)]

    def holds(value: Any) -> bool:
        if value is None:
            return False
        if condition.above is not None or condition.below is not None:
            if isinstance(value, str):
                return False
            return bool(value > values[0] if condition.above is not None else value < values[0])
        return any(isinstance(value, str) == isinstance(v, str) and value == v for v in values)

    return lambda batch: np.fromiter((holds(kept[column]) for kept in batch.kept), bool, len(batch.kept))


def _isin(mine: Floats, values: Floats) -> Mask:
    return np.asarray(np.logical_or.reduce([mine == value for value in values]))


def _operands(condition: Condition) -> list[Any]:
    single = [v for v in (condition.above, condition.below, condition.equals) if v is not None]
    return single or list(condition.in_ or ())


def _scaled(value: Any, digits: int) -> Any:
    """A decimal operand as exactly as it was written: 0.29 is 29 hundredths, though the float is a little
    less.
    """
    return Decimal(str(value)) * 10**digits if digits and isinstance(value, int | float) else value


def _float32(value: Any) -> float:
    return float("nan") if isinstance(value, str) else float(value)
