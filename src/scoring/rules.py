"""A policy's rules compiled against one spec: each becomes a function from a batch's columns to the rows
where it fires. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from common.errors import InvalidInputError
from common.keyed_hash import is_hashed
from scoring.comparisons import Column, Comparison, Moments, comparison
from scoring.policy import Condition, Mask, Policy, Rule
from stream_features.spec import Spec
from stream_features.spec_source import nearest

Floats = npt.NDArray[np.float32]


class Batch(NamedTuple):
    """Rows made with one spec: features [n, F] in its order, kept fields [n] in its order (decimals as scaled
    integers), entities' ids [n] in its order (or none of them at all); None where missing.
    """

    features: Floats
    kept: Sequence[Sequence[Any]]
    entities: Sequence[Sequence[str | None]] = ()


class Place(NamedTuple):
    """Where a condition's values are in a batch, and of what kind."""

    of: str
    column: int
    kind: str
    digits: int = 0


Test = Callable[["_Columns"], Mask]


def check(policy: Policy, spec: Spec) -> None:
    """InvalidInputError with its line for a condition that could never hold over this spec."""
    for rule in policy.rules:
        for condition in (*rule.all, *rule.any):
            _check(policy, rule, condition, spec)


class Rules:
    """The rules of a policy for vectors of one spec. What the spec does not have counts as missing."""

    def __init__(self, policy: Policy, spec: Spec) -> None:
        self._rules = [(rule, _Test(rule, spec)) for rule in policy.rules]

    def fired(self, batch: Batch, at_ms: Moments) -> list[tuple[Rule, Mask]]:
        """Each rule with the rows where it fires, in the policy's order; values that are listed until a time
        hold where `at_ms` (of all rows, or one a row) is before it.
        """
        columns = _Columns(batch, at_ms)
        return [(rule, test.holds(columns)) for rule, test in self._rules]


class _Columns:
    """A batch column by column, each made once whatever number of conditions look at it."""

    def __init__(self, batch: Batch, at_ms: Moments) -> None:
        self.rows, self.at_ms = len(batch.features), at_ms
        self._batch = batch
        self._made: dict[Place, Column] = {}

    def of(self, place: Place) -> Column:
        """The values at a place, as its kind is compared."""
        if place.of == "feature":
            return self._batch.features[:, place.column]
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = self._column(place)
        return found

    def _column(self, place: Place) -> Column:
        rows = self._batch.kept if place.of == "field" else self._batch.entities
        values = [row[place.column] for row in rows] if rows else [None] * self.rows
        if place.kind == "string":
            return values
        if place.kind == "float":
            return np.array(values, np.float64)
        present = np.array([value is not None for value in values], bool)
        return np.array([value or 0 for value in values], np.int64), present


class _Test:
    """A rule whose conditions know their columns."""

    def __init__(self, rule: Rule, spec: Spec) -> None:
        self._all = [_compiled(condition, spec) for condition in rule.all]
        self._any = [_compiled(condition, spec) for condition in rule.any]

    def holds(self, columns: _Columns) -> Mask:
        """The rows where all of `all` and, if given, one of `any` hold."""
        mask = np.ones(columns.rows, bool)
        for place, compare in self._all:
            mask &= _mask(place, compare, columns)
        if self._any:
            mask &= np.logical_or.reduce([_mask(place, compare, columns) for place, compare in self._any])
        return mask


def _mask(place: Place | None, compare: Comparison, columns: _Columns) -> Mask:
    if place is None:
        return np.zeros(columns.rows, bool)
    return compare(columns.of(place), columns.at_ms)


def _compiled(condition: Condition, spec: Spec) -> tuple[Place | None, Comparison]:
    place = _place(condition, spec)
    kind, digits = (place.kind, place.digits) if place else ("string", 0)
    return place, comparison(condition, kind, digits)


def _place(condition: Condition, spec: Spec) -> Place | None:
    """Where the condition's subject is, or None if the spec has none of that name."""
    names = _names(spec)[condition.of]
    if condition.name not in names:
        return None
    column = names.index(condition.name)
    if condition.of == "feature":
        return Place("feature", column, "float32")
    field = spec.fields[condition.name] if condition.of == "field" else None
    return (
        Place(condition.of, column, field.kind, field.digits) if field else Place("entity", column, "string")
    )


def _names(spec: Spec) -> Mapping[str, Sequence[str]]:
    return {
        "feature": spec.feature_names,
        "field": spec.event.keep,
        "entity": [entity.name for entity in spec.entities],
    }


def _check(policy: Policy, rule: Rule, condition: Condition, spec: Spec) -> None:
    def refuse(message: str) -> NoReturn:
        raise InvalidInputError(f"{policy.source}:{condition.line}: rule {rule.name!r}: {message}")

    place, names = _place(condition, spec), _names(spec)[condition.of]
    if place is None and condition.of == "field" and condition.name in spec.fields:
        refuse(
            f"{condition.name!r} is not in 'keep' of the spec's [event], so rules never see it: add it there"
        )
    if place is None:
        what = "kept field" if condition.of == "field" else condition.of
        refuse(f"the spec has no {what} {condition.name!r}{nearest(condition.name, names)}")
    texts = [isinstance(value, str) for value, _ in condition.values]
    if place.kind == "string" and (condition.test != "in" or not all(texts)):
        refuse(f"{condition.name!r} is text: compare it by equals or in with texts, in quotes")
    hashed = place.of == "entity" and spec.entities[place.column].hash
    if hashed and not all(is_hashed(str(value)) for value, _ in condition.values):
        refuse(
            f"{condition.name!r} is known by its hash alone (hash = true): name what "
            f"`streamscore entity {condition.name} VALUE --id` prints"
        )
    if place.kind != "string" and any(texts):
        refuse(f"{condition.name!r} is a number ({place.kind}), it never equals a text in quotes")
