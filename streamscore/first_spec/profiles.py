"""What the columns of a sample hold: kinds of values, decimals, gaps, repeats."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path
from typing import Any

import polars as pl
from polars import Expr

from common.errors import InvalidInputError
from stream_features.values import LIMIT
from streamscore.training.sources import JSON_LINES, frames, refused

ROWS = 100_000
JOINT = "\x1f"  # between the keys of a path
TIME = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})?$"
WHOLE = r"^-?(0|[1-9]\d{0,15})$"
PLAIN_NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?$"
NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
SECONDS, MILLISECONDS = (10**9, 4 * 10**9), (10**12, 4 * 10**12)  # from 2001 to 2096


@dataclass(frozen=True)
class Profile:
    """A column: its keys in a record, and counts over ``rows`` rows, ``distinct`` over the ``first_rows``.

    ``is_text`` and ``is_number`` say what the spec may declare it to be, in this kind of file.
    """

    path: tuple[str, ...]
    is_text: bool
    is_number: bool
    rows: int
    missing: int
    empty: int
    times: int
    epochs: int
    truths: int
    answers: int
    wholes: int
    plain_numbers: int
    numbers: int
    decimals: int
    largest: float
    longest_bytes: int
    distinct: int
    first_rows: int

    @property
    def name(self) -> str:
        """The name of its field in the spec."""
        return "_".join(self.path)

    @property
    def filled(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing

    def all(self, count: int) -> bool:
        """Whether `count` is every row that has a value, and some has."""
        return count == self.filled > 0

    @property
    def can_be_id(self) -> bool:
        """Whether every row holds a text or a whole number."""
        whole = self.wholes == self.rows
        return not self.missing and not self.empty and len(self.path) == 1 and (self.is_text or whole)

    @property
    def is_unique(self) -> bool:
        """Whether no value occurs twice in the first rows."""
        return self.distinct == self.first_rows


def profiles(path: Path) -> list[Profile]:
    """One profile a column of the file, in its order; lists are left out."""
    found: dict[tuple[str, ...], Profile] = {}
    for frame in _frames(path):
        for name in frame.columns:
            one = _profile(name, frame[name])
            found[one.path] = _merged(found[one.path], one) if one.path in found else one
    total = max((profile.rows for profile in found.values()), default=0)
    if not total:
        raise InvalidInputError(f"{path}: holds no rows to guess from")
    return [replace(one, rows=total, missing=one.missing + total - one.rows) for one in found.values()]


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    """The file as text columns, whose names say their paths and what they may be declared."""
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file")
    if path.name.endswith(JSON_LINES):
        yield from _json_frames(path)
        return
    is_typed = path.suffix == ".parquet"
    for frame in frames(path, ROWS, lambda schema: _leaves(schema, is_typed)):
        yield frame.drop("@line")


def _leaves(schema: pl.Schema, is_typed: bool) -> list[Expr]:
    """Every value of the file as text, those inside of structs by their paths."""
    found: list[Expr] = []
    waiting = [((name,), pl.col(name), kind) for name, kind in schema.items() if not name.startswith("@")]
    while waiting:
        path, column, kind = waiting.pop(0)
        if isinstance(kind, pl.Struct):
            waiting += [((*path, f.name), column.struct.field(f.name), f.dtype) for f in kind.fields]  # type: ignore[misc]
        elif not kind.is_nested():
            is_text = kind in (pl.String, pl.Binary, pl.Date, pl.Time)
            is_number = kind.is_numeric() or kind in (pl.String, pl.Boolean)
            found.append(_text(column, kind).alias(_named(path, is_text, is_number)))
    return found


def _text(column: Expr, kind: Any) -> Expr:
    if isinstance(kind, pl.Datetime):
        return column.dt.strftime("%Y-%m-%dT%H:%M:%S")
    return (column.fill_nan(None) if kind.is_float() else column).cast(pl.String, strict=False)


def _json_frames(path: Path) -> Iterator[pl.DataFrame]:
    with refused(path), path.open("rb") as lines:
        for some in batched(lines, ROWS, strict=False):
            columns: dict[tuple[str, ...], list[tuple[str | None, bool]]] = {}
            rows = [record for line in some if (record := _record(line)) is not None]
            for number, record in enumerate(rows):
                for keys, value in _json_leaves((), record):
                    column = columns.setdefault(keys, [])
                    column += [(None, False)] * (number - len(column)) + [value]
            yield pl.DataFrame(
                {_named(keys, *_may_be(found)): _padded(found, len(rows)) for keys, found in columns.items()}
            )


def _record(line: bytes) -> dict[str, Any] | None:
    """An event; not what is no record, nor a label record: `check` has more to say of those."""
    try:
        record = json.loads(line, parse_float=_Number, parse_int=_Number)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get("type") != "label" else None


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _json_leaves(
    keys: tuple[str, ...], value: Any
) -> Iterator[tuple[tuple[str, ...], tuple[str | None, bool]]]:
    """Each value with its path, as (text, whether it was in quotes)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _json_leaves((*keys, key), inner)
    elif isinstance(value, bool):
        yield keys, (str(value).lower(), False)
    elif isinstance(value, str):
        yield keys, (str(value), not isinstance(value, _Number))


def _may_be(found: list[tuple[str | None, bool]]) -> tuple[bool, bool]:
    quoted = {in_quotes for text, in_quotes in found if text is not None}
    return quoted == {True}, quoted == {False}


def _padded(found: list[tuple[str | None, bool]], rows: int) -> pl.Series:
    texts = [text for text, _ in found]
    return pl.Series(texts + [None] * (rows - len(texts)), dtype=pl.String)


def _named(path: tuple[str, ...], is_text: bool, is_number: bool) -> str:
    return JOINT.join((str(int(is_text)), str(int(is_number)), *path))


def _profile(name: str, texts: pl.Series) -> Profile:
    is_text, is_number, *path = name.split(JOINT)
    plain = texts.filter(texts.str.contains(PLAIN_NUMBER).fill_null(False))
    size = plain.cast(pl.Float64).abs()
    largest: Any = size.max() or 0.0
    fractions = plain.str.extract(r"\.(\d*[1-9])0*$").str.len_bytes()
    return Profile(
        path=tuple(path),
        is_text=is_text == "1",
        is_number=is_number == "1",
        rows=len(texts),
        missing=texts.null_count(),
        empty=_count(texts == ""),
        times=_count(texts.str.contains(TIME)),
        epochs=_count(size.is_between(*SECONDS) | size.is_between(*MILLISECONDS)),
        truths=_count(texts.str.to_lowercase().is_in(["true", "false"])),
        answers=_count(texts.str.to_lowercase().is_in(["true", "false", "0", "1", "0.0", "1.0"])),
        wholes=_count(texts.str.contains(WHOLE)) if largest <= LIMIT else 0,
        plain_numbers=len(plain),
        numbers=_count(texts.str.contains(NUMBER)),
        decimals=int(fractions.max() or 0),  # type: ignore[arg-type]
        largest=largest,
        longest_bytes=int(texts.str.len_bytes().max() or 0),  # type: ignore[arg-type]
        distinct=texts.drop_nulls().n_unique(),
        first_rows=len(texts),
    )


def _count(mask: pl.Series) -> int:
    return int(mask.sum() or 0)


_ADDED = ("missing", "empty", "times", "epochs", "truths", "answers", "wholes", "plain_numbers", "numbers")
_LARGEST = ("decimals", "largest", "longest_bytes")


def _merged(one: Profile, more: Profile) -> Profile:
    added = {key: getattr(one, key) + getattr(more, key) for key in ("rows", *_ADDED)}
    largest = {key: max(getattr(one, key), getattr(more, key)) for key in _LARGEST}
    known = [profile for profile in (one, more) if profile.filled]
    return replace(
        one,
        **added,
        **largest,
        is_text=bool(known) and all(profile.is_text for profile in known),
        is_number=bool(known) and all(profile.is_number for profile in known),
    )
