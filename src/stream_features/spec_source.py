"""The text of a `features.toml` and the refusals that name its lines."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NoReturn

from common.errors import InvalidInputError
from stream_features.spec_lines import Lines

MAX_WINDOW_MS = 90 * 86_400_000
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_TOML_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


def duration_ms(text: object) -> int:
    """Milliseconds of a duration such as "30s", "15m", "1h" or "7d"; ValueError for anything else or zero."""
    match = re.match(r"^([1-9]\d{0,8})([smhd])$", text) if isinstance(text, str) else None
    if not match:
        raise ValueError(
            f'{text!r} is no duration; write a whole number and a unit: "30s", "15m", "1h", "7d"'
        )
    return int(match.group(1)) * _UNIT_MS[match.group(2)]


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at the known word that `word` may have meant; "" if none is near."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {found[0]!r}" if found else ""


@dataclass(frozen=True)
class Table:
    """One table of the file. Every refusal goes through `refuse`, so that it carries a line."""

    source: "Source"
    name: str
    content: Mapping[str, Any]
    ordinal: int = 0

    def refuse(self, message: str, key: str = "", element: int | None = None) -> NoReturn:
        """InvalidInputError at the line of `key`, of an element of the array at it, or of the table."""
        raise InvalidInputError(f"{self.source.name}:{self.line(key, element)}: {message}")

    def line(self, key: str = "", element: int | None = None) -> int:
        """The line of `key`, of an element of the array at it, or of the table."""
        lines = self.source.lines
        if element is None:
            return lines.of(self.name, key, self.ordinal)
        return lines.of_element(self.name, key, element, self.ordinal)

    def known_keys(self, known: Iterable[str]) -> None:
        """Refuse any key but these."""
        for key in self.content:
            if key not in set(known):
                hint = nearest(key, known)
                self.refuse(f"unknown key {key!r}{hint}; known here: {', '.join(sorted(known))}", key)

    def text(self, key: str) -> str:
        """The text at `key`, which must be there."""
        value = self.content.get(key)
        if not isinstance(value, str) or not value:
            self.refuse(f"{key!r} must be a text that is not empty", key)
        return value

    def duration(self, key: str, value: object) -> int:
        """Milliseconds of a duration that stands at `key`."""
        try:
            return duration_ms(value)
        except ValueError as error:
            self.refuse(f"{key}: {error}", key)

    def short_duration(self, key: str, value: object) -> int:
        """Milliseconds of a duration of at most 90 days."""
        found_ms = self.duration(key, value)
        if found_ms > MAX_WINDOW_MS:
            self.refuse(f"{key}: {value} is longer than 90 days, the most that is kept", key)
        return found_ms


class Source:
    """A parsed file; numbers with a point are Decimals, so that they mean exactly what is written."""

    def __init__(self, text: str, name: str) -> None:
        self.name, self._text = name, text
        try:
            self.toml = tomllib.loads(text, parse_float=Decimal)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(self._no_toml(str(error))) from error

    def _no_toml(self, message: str) -> str:
        at = _TOML_LINE.search(message)
        line = (at and at.group(1)) or max(1, len(self._text.splitlines()))
        return f"{self.name}:{line}: not valid TOML: {_TOML_LINE.sub('', message)}"

    @cached_property
    def lines(self) -> Lines:
        """Where keys stand."""
        return Lines(self._text)

    def refuse(self, message: str, table: str, key: str = "", ordinal: int = 0) -> NoReturn:
        """InvalidInputError with the line of a key in a table."""
        raise InvalidInputError(f"{self.name}:{self.lines.of(table, key, ordinal)}: {message}")

    def table(self, name: str) -> Table:
        """The table [name], which must be there."""
        content = self.toml.get(name)
        if not isinstance(content, dict) or not content:
            self.refuse(f"the table [{name}] is missing or empty", name)
        return Table(self, name, content)

    def blocks(self, name: str) -> list[Table]:
        """The tables [[name]], of which there must be one at least."""
        contents = self.toml.get(name)
        if not isinstance(contents, list) or not contents:
            self.refuse(f"no [[{name}]] is declared; a spec needs at least one", name)
        for ordinal, content in enumerate(contents):
            if not isinstance(content, dict):
                self.refuse(f"[[{name}]] must be a table", name, "", ordinal)
        return [Table(self, name, content, ordinal) for ordinal, content in enumerate(contents)]

    def known_tables(self, known: Iterable[str]) -> None:
        """Refuse any top-level name but these."""
        for name in self.toml:
            if name not in set(known):
                hint = nearest(name, known)
                self.refuse(f"unknown key {name!r}{hint}; known here: {', '.join(sorted(known))}", name)
