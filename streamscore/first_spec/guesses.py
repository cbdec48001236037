"""Which column of a sample plays which part, and why it is thought so."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import InvalidInputError
from stream_features.values import LIMIT, MAX_TEXT_BYTES
from streamscore.first_spec.profiles import Profile

MOST_ENTITIES = 3
LEAST_DECIMALS, MOST_DECIMALS = 2, 6  # cents, if there are any decimals
_PATH_KEY = r"^[^\s.@]+$"
_TIME = re.compile(r"time|date|stamp|moment|(^|_)(ts|at)($|_)", re.I)
_ID = re.compile(
    r"(trans|tx|trx|event|order|payment|request|record|message)\w*?(id|no|num|key|$)|^(uu)?id$", re.I
)
_LABEL = re.compile(r"fraud|label|target|chargeback|^class$|is_bad|abuse", re.I)
_ENTITY = re.compile(
    r"(id|no|num|number|key|code)$|^id|card|account|acct|customer|client|user|member|email|device", re.I
)
_OWNER = re.compile(r"customer|client|user|member|account|acct|card|payer|sender|orig|holder", re.I)
_AMOUNT = re.compile(r"amount|amt|price|value|total|sum|cost|paid", re.I)


@dataclass(frozen=True)
class Guess:
    """A choice and its reason."""

    name: str
    why: str


@dataclass(frozen=True)
class FieldGuess:
    """A field's name, its type as the spec writes it ("" if it cannot be one), and the reason."""

    name: str
    kind: str
    why: str


@dataclass(frozen=True)
class Guesses:
    """The parts of a first spec. ``entities`` are columns, the primary one first."""

    id: Guess
    time: Guess
    label: Guess | None
    entities: tuple[Guess, ...]
    fields: tuple[FieldGuess, ...]
    amount: str | None


def guessed(columns: Sequence[Profile]) -> Guesses:
    """The parts that `columns` seem to play; InvalidInputError if an id, a time or an entity lacks."""
    time = _time(columns)
    identity = _identity([c for c in columns if c.name != time.name])
    label = _label([c for c in columns if c.name not in {time.name, identity.name}])
    keys = {time.name, identity.name, label.name if label else ""}
    entities = _entities([c for c in columns if c.name not in keys])
    keys |= {entity.name for entity in entities}
    fields = tuple(_field(column) for column in columns if column.name not in keys)
    return Guesses(identity, time, label, entities, fields, _amount(fields))


def _time(columns: Sequence[Profile]) -> Guess:
    top = [c for c in columns if len(c.path) == 1 and not c.missing]
    texts = [c for c in top if c.times == c.rows]
    epochs = [c for c in top if c.is_number and c.epochs == c.rows]
    found = _first_named(texts, _TIME) or _first_named(epochs, _TIME)
    if found is None:
        raise InvalidInputError(
            "no column holds a time in every row; an event needs one: RFC 3339 text (2024-01-31T23:59:59Z), "
            "or as seconds or milliseconds since 1970"
        )
    why = (
        "every value is an RFC 3339 time"
        if found in texts
        else "every value is a number of seconds since 1970"
    )
    if found in epochs and found.largest >= 10**12:
        why = "every value is a number of milliseconds since 1970"
    return Guess(found.name, why)


def _identity(columns: Sequence[Profile]) -> Guess:
    unique = [c for c in columns if c.can_be_id and c.is_unique]
    found = _first_named(unique, _ID)
    if found is None:
        raise InvalidInputError(
            "no column has a different value in every row: an event needs an id of its own; add one, such as "
            "a UUID"
        )
    return Guess(found.name, f"no two of the first {found.first_rows:,} rows have the same")


def _label(columns: Sequence[Profile]) -> Guess | None:
    for column in columns:
        if len(column.path) == 1 and column.all(column.answers) and _LABEL.search(column.name):
            return Guess(column.name, "its name, and it holds nothing but yes and no")
    return None


def _entities(columns: Sequence[Profile]) -> tuple[Guess, ...]:
    repeating = [c for c in columns if c.can_be_id and not c.is_unique and c.longest_bytes <= MAX_TEXT_BYTES]
    named = [c for c in repeating if _ENTITY.search(c.name) and c.distinct > 1]
    named.sort(key=lambda c: (not _OWNER.search(c.name), -c.distinct))
    chosen = named[:MOST_ENTITIES] or sorted(repeating, key=lambda c: -c.distinct)[:1]
    chosen = chosen or [c for c in columns if c.can_be_id and _OWNER.search(c.name)][:1]  # a small sample
    if not chosen:
        raise InvalidInputError(
            "no column says whose event it is: a spec needs one whose values return, such as a customer's id"
        )
    return tuple(
        Guess(c.name, f"{c.distinct:,} different values in the first {c.first_rows:,} rows") for c in chosen
    )


def _field(column: Profile) -> FieldGuess:
    kind, why = _kind(column)
    missing = f"; {column.missing:,} rows have none" if column.missing else ""
    inside = len(column.path) > 1
    if not column.name or (inside and not all(re.match(_PATH_KEY, key) for key in column.path)):
        return FieldGuess(column.name, "", "a key on its path is empty, or holds a blank, a dot or an @")
    path = f" @ {'.'.join(column.path)}" if inside else ""
    return FieldGuess(column.name, f"{kind}{'?' * bool(column.missing)}{path}" if kind else "", why + missing)


def _kind(column: Profile) -> tuple[str, str]:
    if column.is_number and column.all(column.truths):
        return "bool", "true or false"
    if column.is_number and column.all(column.plain_numbers):
        if not column.decimals and column.largest <= LIMIT:
            return "int", "whole numbers"
        digits = max(column.decimals, LEAST_DECIMALS)
        if digits <= MOST_DECIMALS and column.largest * 10**digits <= LIMIT:
            return f"decimal({digits})", f"no value has more than {digits} decimals"
    if column.is_number and column.all(column.numbers) and column.largest <= LIMIT:
        return "float", f"numbers of more than {MOST_DECIMALS} decimals, or with exponents: not exact"
    if column.is_text and column.filled and column.longest_bytes <= MAX_TEXT_BYTES:
        return "string", "text"
    return "", "empty, of mixed kinds, or too long"


def _amount(fields: Sequence[FieldGuess]) -> str | None:
    exact = [f.name for f in fields if f.kind.startswith(("decimal", "int"))]
    decimals = [f.name for f in fields if f.kind.startswith("decimal")]
    return next((name for name in exact if _AMOUNT.search(name)), next(iter(decimals or exact), None))


def _first_named(columns: Sequence[Profile], pattern: re.Pattern[str]) -> Profile | None:
    return next((c for c in columns if pattern.search(c.name)), next(iter(columns), None))
