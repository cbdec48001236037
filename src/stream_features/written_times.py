"""RFC 3339 times in their usual forms, many at once: `values.rfc3339_ms` on arrays of characters.

A time that is not in one of these forms may still be right; `values.rfc3339_ms` knows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Characters = NDArray[np.uint8]

_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_SECOND_CHARACTERS = len("2026-11-24T22:05:45")
_FIGURES = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_MARKS, _MARK_PLACES = np.frombuffer(b"--::", np.uint8)[:, None], [4, 7, 13, 16]
_BETWEEN = np.frombuffer(b"Tt ", np.uint8)[:, None]
_MOST = np.array([99, 99, 12, 31, 23, 59, 59], np.uint8)[:, None]  # century, year, month, day, h, min, s
_CLOCK_MS = np.array([3_600_000, 60_000, 1000])
_DAY_MS = 86_400_000
_ZONE_CHARACTERS = (1, 6, 0)  # "Z", "+hh:mm", nothing


def _months() -> tuple[Ints, Ints]:
    """Of each month from 1970 on: the days before it since the epoch, and its own."""
    years = range(_FIRST_YEAR, _LAST_YEAR + 2)
    firsts = [datetime(year, month, 1, tzinfo=UTC) for year in years for month in range(1, 13)]
    before = np.array([int(first.timestamp()) // 86_400 for first in firsts], np.int64)
    return before[:-12], np.diff(before)[: len(before) - 12]


_DAYS_BEFORE, _DAYS = _months()


def written_ms(texts: Sequence[str]) -> tuple[Ints, Bools]:
    """Epoch milliseconds, floored, and which are certain; the others' numbers mean nothing."""
    lengths = set(map(len, texts))
    if len(lengths) == 1:
        return _of_one_length(texts, lengths.pop())
    found, certain = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    for length in lengths:
        rows = [row for row, text in enumerate(texts) if len(text) == length]
        found[rows], certain[rows] = _of_one_length([texts[row] for row in rows], length)
    return found, certain


def _of_one_length(texts: Sequence[str], length: int) -> tuple[Ints, Bools]:
    if length < _SECOND_CHARACTERS:
        return np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    written = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    places = np.ascontiguousarray(written.reshape(-1, length).T)
    seconds_ms, whole = _seconds(places[:_SECOND_CHARACTERS])
    rest_ms, rest = _rest(places[_SECOND_CHARACTERS:])
    found = seconds_ms + rest_ms
    return found, whole & rest & (found >= 0)


def _seconds(places: Characters) -> tuple[Ints, Bools]:
    """Of ``2026-11-24T22:05:45``."""
    pairs, certain = _pairs(places[_FIGURES])
    certain &= (pairs <= _MOST).all(0) & (places[_MARK_PLACES] == _MARKS).all(0)
    certain &= (places[10] == _BETWEEN).any(0)
    century, year, month, day, *_ = pairs.astype(np.int64)
    months = (100 * century + year - _FIRST_YEAR) * 12 + month - 1
    certain &= (month >= 1) & (months >= 0) & (months < len(_DAYS))
    months = np.where(certain, months, 0)
    certain &= (day >= 1) & (day <= _DAYS[months])
    return (_DAYS_BEFORE[months] + day - 1) * _DAY_MS + _CLOCK_MS @ pairs[4:], certain


def _rest(places: Characters) -> tuple[Ints, Bools]:
    """Of ``.123Z``, ``+02:00`` or nothing: milliseconds to add."""
    found, certain = np.zeros(places.shape[1], np.int64), np.zeros(places.shape[1], np.bool_)
    for width in _ZONE_CHARACTERS:
        if width > len(places) or certain.all():
            continue
        border = len(places) - width
        fraction_ms, fraction = _fraction(places[:border])
        zone_ms, zone = _zone(places[border:])
        fits = fraction & zone & ~certain
        found, certain = np.where(fits, fraction_ms - zone_ms, found), certain | fits
    return found, certain


def _fraction(places: Characters) -> tuple[Ints, Bools]:
    """Of ``.123456`` with any number of figures, or of nothing."""
    count = places.shape[1]
    if not len(places):
        return np.zeros(count, np.int64), np.ones(count, np.bool_)
    if len(places) == 1:
        return np.zeros(count, np.int64), np.zeros(count, np.bool_)
    figures = places[1:] - ord("0")
    certain = (places[0] == ord(".")) & (figures <= 9).all(0)
    weights = np.array([100, 10, 1])[: len(figures)]
    return weights @ figures[:3].astype(np.int64), certain


def _zone(places: Characters) -> tuple[Ints, Bools]:
    count = places.shape[1]
    if not len(places):
        return np.zeros(count, np.int64), np.ones(count, np.bool_)
    if len(places) == 1:
        return np.zeros(count, np.int64), (places[0] | 0x20) == ord("z")
    pairs, certain = _pairs(places[[1, 2, 4, 5]])
    east, west = places[0] == ord("+"), places[0] == ord("-")
    certain &= (east | west) & (places[3] == ord(":")) & (pairs <= _MOST[4:6]).all(0)
    offset_ms = _CLOCK_MS[:2] @ pairs
    return np.where(east, offset_ms, -offset_ms), certain


def _pairs(written: Characters) -> tuple[Characters, Bools]:
    """Numbers of two figures each from rows of characters, and where all of these are figures."""
    figures = written - ord("0")
    return 10 * figures[::2] + figures[1::2], (figures <= 9).all(0)
