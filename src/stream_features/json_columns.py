"""What many records hold under one key, as msgspec typed it, to what the spec says it is: column by column.

Each reader gives exactly what `values` gives for the same JSON text, or marks the row as one in doubt; None
stands for an absent value, and for one in doubt.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from stream_features import values
from stream_features.spec_model import Field, Scalar
from stream_features.written_times import written_ms

IDENTIFIER, TIME, TEXT, TRUTH = str | int | None, str | int | float | None, str | None, bool | None

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NumberReader = Callable[[bytes], tuple[Ints | Floats, Bools]]
_MOST_BYTES_A_CHARACTER = 4  # of UTF-8
SURE_CHARACTERS = values.MAX_TEXT_BYTES // _MOST_BYTES_A_CHARACTER
_FIXED, _FLOATING = b"0123456789-.", b"0123456789-.+eE"
_MOST_FIGURES = 18  # fewer than an int64 can hold
_POWERS = 10 ** np.arange(_MOST_FIGURES + 1)
_FLOATS = msgspec.json.Decoder(list[float])


class Doubts:
    """The rows that the careful decoder has to judge. A text in a `wide` row may be too long for a text."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.rows: set[int] = set()
        some = max(sizes, default=0) > values.MAX_TEXT_BYTES
        self._wide = [row for row, size in enumerate(sizes) if some and size > values.MAX_TEXT_BYTES]

    def add(self, rows: Iterable[int]) -> None:
        """These rows too."""
        self.rows.update(rows)

    def but(self, certain: Bools) -> None:
        """Every row that is not certain."""
        if not certain.all():
            self.add(np.flatnonzero(~certain).tolist())

    def without[R](self, records: Iterable[R]) -> list[R | None]:
        """The records, with None for those in doubt."""
        found: list[R | None] = list(records)
        for row in self.rows:
            found[row] = None
        return found

    def long(self, texts: Sequence[str | None]) -> None:
        """Texts that may have more bytes than a text may have."""
        self.add(row for row in self._wide if len(texts[row] or "") > SURE_CHARACTERS)


def identifiers(column: Sequence[Any], doubts: Doubts) -> Sequence[str]:
    """Ids as written; 0 is in doubt, as it may have been -0."""
    if set(map(type, column)) != {str}:
        column = [found if type(found) is str else _whole(found) for found in column]
    if not all(column):
        doubts.add(row for row, found in enumerate(column) if not found)
    doubts.long(column)
    return column


def _whole(found: Any) -> str:
    return str(found) if type(found) is int and 0 != found.bit_length() < 64 else ""


def times_ms(column: Sequence[Any], doubts: Doubts) -> Ints:
    """Epoch milliseconds."""
    kinds = set(map(type, column))
    if kinds == {str}:
        found, certain = written_ms(column)
    elif kinds == {int}:
        found, certain = _epochs_ms(column)
    else:
        found, certain = np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_)
        for kind, read in ((str, written_ms), (int, _epochs_ms)):
            rows = [row for row, value in enumerate(column) if type(value) is kind]
            found[rows], certain[rows] = read([column[row] for row in rows])
    doubts.but(certain)
    return found


def _epochs_ms(column: Sequence[int]) -> tuple[Ints, Bools]:
    found = np.array([value if 0 <= value <= values.LIMIT else -1 for value in column], np.int64)
    return np.where(found < values.SECONDS_BELOW, found * 1000, found), found >= 0


def of_field(field: Field, column: Sequence[Any], doubts: Doubts) -> list[Scalar | None]:
    """The values of a field."""
    match field.kind:
        case "decimal" | "int":
            found = _numbers(column, _FIXED, partial(_fixed, digits=field.digits), doubts)
        case "float":
            found = _numbers(column, _FLOATING, _floating, doubts)
        case "bool":
            found = _of_type(bool, column, doubts)
        case "string":
            found = _of_type(str, column, doubts)
            doubts.long(found)
    if not field.optional and None in found:
        doubts.add(row for row, value in enumerate(found) if value is None)
    return found


def kind_of(field: Field) -> Any:
    """As what msgspec has to read a field. Numbers stay the text they were."""
    return {"string": TEXT, "bool": TRUTH}.get(field.kind, Raw)


def _of_type(kind: type, column: Sequence[Any], doubts: Doubts) -> list[Any]:
    if set(map(type, column)) == {kind}:
        return list(column)
    doubts.add(row for row, value in enumerate(column) if type(value) is not kind and not _absent(value))
    return [value if type(value) is kind else None for value in column]


def _absent(value: Any) -> bool:
    return value is None or value is msgspec.UNSET or (type(value) is Raw and bytes(value) == b"null")


def _numbers(column: Sequence[Any], usual: bytes, read: NumberReader, doubts: Doubts) -> list[Any]:
    """What `read` makes of the numbers that are written with `usual` characters alone.

    Only a JSON number consists of such characters: no value has a comma of its own, and they can be joined.
    """
    text = _joined(column, usual)
    if text is not None:
        numbers, certain = read(text)
        doubts.but(certain)
        return list(numbers.tolist())
    found: list[Any] = [None] * len(column)
    rows = [row for row, raw in enumerate(column) if _is_made_of(usual, raw)]
    doubts.add(row for row in set(range(len(column))).difference(rows) if not _absent(column[row]))
    if rows:
        numbers, certain = read(b",".join([column[row] for row in rows]))
        doubts.add(row for row, sure in zip(rows, certain.tolist(), strict=True) if not sure)
        for row, number in zip(rows, numbers.tolist(), strict=True):
            found[row] = number
    return found


def _joined(column: Sequence[Any], usual: bytes) -> bytes | None:
    """All numbers, commas between; None if any is absent or has other characters."""
    try:
        text = b",".join(column)
    except TypeError:
        return None
    return None if text.translate(None, usual + b",") else text


def _is_made_of(usual: bytes, raw: Any) -> bool:
    return type(raw) is Raw and not bytes(raw).translate(None, usual)


def _fixed(text: bytes, digits: int) -> tuple[Ints, Bools]:
    """Numbers without exponents as integers × 10^digits."""
    characters = np.frombuffer(text + b",", np.uint8)
    ends, points = np.flatnonzero(characters == ord(",")), np.flatnonzero(characters == ord("."))
    lengths, decimals = np.diff(ends, prepend=-1) - 1, np.zeros(len(ends), np.int64)
    owners = np.searchsorted(ends, points)
    decimals[owners] = ends[owners] - points - 1
    missing = digits - decimals
    certain = (missing >= 0) & (lengths + missing <= _MOST_FIGURES)
    numbers = np.fromstring(text.translate(None, b"."), np.int64, sep=",")
    found = numbers * _POWERS[np.clip(missing, 0, _MOST_FIGURES)]
    return found, certain & (found >= -values.LIMIT) & (found <= values.LIMIT)


def _floating(text: bytes) -> tuple[Floats, Bools]:
    """Numbers as float64, rounded as Python rounds them; msgspec takes -0 for 0."""
    try:
        found = _FLOATS.decode(b"[" + text + b"]") if b"-0" not in text else None
    except msgspec.MsgspecError:
        found = None
    numbers = np.array(list(map(float, text.split(b","))) if found is None else found)
    return numbers, np.abs(numbers) <= values.LIMIT
