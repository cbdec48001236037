"""A price table from a file: the built-in one with what the file says in its place."""

import difflib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import InvalidInputError
from common.prices import AS_OF, PRICES, REGION, Price
from stream_features.spec_lines import Lines


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by name, and where and when they hold."""

    region: str = REGION
    as_of: str = AS_OF
    prices: Mapping[str, Price] = PRICES


_HEAD = ("region", "as_of", "source")


def load(path: Path | None) -> PriceTable:
    """The table of a TOML or JSON file (`region`, `as_of`, `source`, and `prices` by name in US dollars); the
    built-in one without a file. A price it does not name stays. Raises InvalidInputError, with the line or
    the key.
    """
    if path is None:
        return PriceTable()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path), as_json=path.suffix == ".json")


def parse(text: str, where: str, *, as_json: bool = False) -> PriceTable:
    """The table of a file's text; `where` names it in errors."""
    try:
        document = json.loads(text) if as_json else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"{where}:{error.lineno}: not JSON: {error.msg}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{where}: not TOML: {error}") from error
    lines = None if as_json else Lines(text)

    def refuse(table: str, key: str, what: str) -> InvalidInputError:
        line = f":{lines.of(table, key)}" if lines else ""
        return InvalidInputError(f"{where}{line}: {table + '.' if table else ''}{key}: {what}")

    if not isinstance(document, dict):
        raise InvalidInputError(f"{where}: an object with region, as_of, source and prices is wanted")
    for key, value in document.items():
        if key not in (*_HEAD, "prices"):
            raise refuse("", key, f"unknown; known are {', '.join(_HEAD)} and prices")
        if key in _HEAD and not (isinstance(value, str) and value):
            raise refuse("", key, "a text in quotes is wanted")
    missing = [key for key in _HEAD if key not in document]
    if missing:
        raise InvalidInputError(
            f"{where}: {missing[0]} is missing: a price needs its region, date and source"
        )
    named = document.get("prices")
    if not isinstance(named, dict) or not named:
        raise InvalidInputError(f"{where}: no prices; put them under [prices], in US dollars for one unit")
    source = document["source"]
    changed: dict[str, Price] = {}
    for name, usd in named.items():
        if name not in PRICES:
            raise refuse("prices", name, f"unknown price{_meant(name)}")
        if not _is_price(usd):
            raise refuse("prices", name, f"{usd!r} is no price; a number >= 0 of US dollars is wanted")
        changed[name] = replace(PRICES[name], usd=float(usd), source=source)
    return PriceTable(document["region"], document["as_of"], {**PRICES, **changed})


def _is_price(usd: Any) -> bool:
    return isinstance(usd, int | float) and not isinstance(usd, bool) and math.isfinite(usd) and usd >= 0


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name, PRICES, n=1)
    return f"; {close[0]} is meant?" if close else f"; known are {', '.join(PRICES)}"
