"""What a rule of `policy.toml` compares: conditions and values, each refused with its line. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn, cast

from scoring.policy import FOREVER_MS, Condition, Scalar, Value
from stream_features.spec_source import Table, nearest

SUBJECTS, TESTS = ("feature", "field", "entity"), ("above", "below", "equals", "in")
_LARGEST = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Lists = Mapping[str, tuple[Value, ...]]


def conditions(table: Table, key: str, lists: Lists) -> tuple[Condition, ...]:
    """The conditions at `all` or `any` of a rule."""
    content = table.content.get(key, [])
    if not isinstance(content, list):
        table.refuse(f"{key!r} must be a list of conditions: [{{ feature = …, above = … }}]", key)
    return tuple(_Element(table, key, n).condition(item, lists) for n, item in enumerate(content))


def values(table: Table, key: str) -> tuple[Value, ...]:
    """The values of a list."""
    content = table.content.get(key)
    if not isinstance(content, list):
        table.refuse(f"{key!r} must be a list of values, or of {{ value = …, until = … }}", key)
    return tuple(_Element(table, key, n).value(value) for n, value in enumerate(content))


class _Element:
    """One element of an array: its refusals name the line it begins on."""

    def __init__(self, table: Table, key: str, n: int) -> None:
        self._table, self._key, self._n = table, key, n

    def condition(self, content: object, lists: Lists) -> Condition:
        """The condition it is."""
        if not isinstance(content, dict):
            self._refuse("a condition is a table: { feature = …, above = … }")
        for key in content:
            if key not in (*SUBJECTS, *TESTS):
                hint = nearest(key, (*SUBJECTS, *TESTS))
                self._refuse(f"unknown key {key!r}{hint}; a condition has one of {', '.join(SUBJECTS)} and "
                             f"one of {', '.join(TESTS)}")  # fmt: skip
        subject, test = self._only(content, SUBJECTS), self._only(content, TESTS)
        name, operand = content[subject], content[test]
        if not isinstance(name, str) or not name:
            self._refuse(f"{subject} must be a name, not {shown(name)}")
        listed = operand if test == "in" and isinstance(operand, str) else ""
        values = self._listed(listed, lists) if listed else self._operands(test, operand)
        self._comparable(subject, test, values)
        kind = cast(Any, "in" if test == "equals" else test)
        return Condition(cast(Any, subject), name, kind, values, listed, self._table.line(self._key, self._n))

    def value(self, content: object) -> Value:
        """The value it is, bare or as { value = …, until = … }."""
        if not isinstance(content, dict):
            return Value(self._scalar(content))
        for key in content:
            if key not in ("value", "until"):
                self._refuse(f"unknown key {key!r}; known here: until, value")
        return Value(self._scalar(content.get("value")), self._until_ms(content.get("until")))

    def _only(self, content: Mapping[str, Any], known: Sequence[str]) -> str:
        found = [key for key in known if key in content]
        if len(found) != 1:
            self._refuse(
                f"a condition has one of {', '.join(known)}, this one has {' and '.join(found) or 'none'}"
            )
        return found[0]

    def _listed(self, name: str, lists: Lists) -> tuple[Value, ...]:
        if name not in lists:
            known = ", ".join(sorted(lists)) or "none"
            self._refuse(f"there is no list [lists.{name}]{nearest(name, lists)}; there are: {known}")
        return lists[name]

    def _operands(self, test: str, operand: object) -> tuple[Value, ...]:
        if test == "in":
            if not isinstance(operand, list) or not operand:
                self._refuse("in needs the name of a list, or values: in = [1, 2]")
            return tuple(self.value(value) for value in operand)
        return (Value(self._scalar(operand)),)

    def _comparable(self, subject: str, test: str, values: Sequence[Value]) -> None:
        """Refuse what could never hold."""
        for value, _ in values:
            if test in ("above", "below") and isinstance(value, bool | str):
                self._refuse(f"{test} needs a number, not {shown(value)}")
            if subject == "feature" and isinstance(value, str):
                self._refuse(f"a feature is a number, it never equals {shown(value)}")
            if subject == "entity" and (test in ("above", "below") or not isinstance(value, str)):
                self._refuse(
                    f"an entity's id is text: compare it by equals or in, with quotes, not {shown(value)}"
                )

    def _scalar(self, value: object) -> Scalar:
        if not isinstance(value, str | bool | int | Decimal):
            self._refuse(f"a value is a text, a number, true or false, not {shown(value)}")
        if not isinstance(value, str) and not (is_finite(value) and -_LARGEST < value < _LARGEST):
            self._refuse(f"{shown(value)} is no number that anything is compared with")
        return value

    def _until_ms(self, until: object) -> int:
        """The first millisecond at which it no longer holds: a date holds to its end, in UTC."""
        if until is None:
            return FOREVER_MS
        if isinstance(until, datetime):
            moment = until if until.tzinfo else until.replace(tzinfo=UTC)
        elif isinstance(until, date) and until < date.max:
            moment = datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1)
        else:
            self._refuse(
                f"until must be a date (2026-12-31) or a time (2026-12-31T18:00:00Z), not {shown(until)}"
            )
        return (moment - _EPOCH) // timedelta(milliseconds=1)

    def _refuse(self, message: str) -> NoReturn:
        self._table.refuse(f"{self._key}: {message}", self._key, self._n)


def is_finite(value: int | Decimal) -> bool:
    """Whether it is a number and not infinite: a NaN does not even compare."""
    return isinstance(value, int) or value.is_finite()


def shown(value: object) -> str:
    """A value as one writes it in TOML."""
    if value is None:
        return "nothing"
    return (
        f'"{value}"'
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
