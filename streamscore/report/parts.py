"""What the page is made of: tables of text, charts by name, figures of both; and how numbers are told."""

import math
from typing import NamedTuple

Cells = tuple[str, ...]
SERIES = ("one", "two", "three", "four", "five", "six")
"""Colours of what has no colour of its own, in order; charts.js takes them in the same."""


class Table(NamedTuple):
    """Rows of text; the first column names the row, those in `words` are no numbers."""

    caption: str
    head: Cells
    rows: tuple[Cells, ...]
    words: frozenset[int] = frozenset({0})


class Chart(NamedTuple):
    """A drawing of page.js, its heading, and what it shows, in words."""

    name: str
    title: str
    says: str
    of: str = ""


class Figure(NamedTuple):
    """Charts that belong together, the colours they use (a CSS variable and a name), and their numbers."""

    charts: tuple[Chart, ...]
    tables: tuple[Table, ...]
    legend: tuple[tuple[str, str], ...] = ()
    open: bool = False


def number(value: float, digits: int = 0) -> str:
    """With thousands' commas; what is not known is a dash.

    >>> number(1234.5, 1), number(math.nan)
    ('1,234.5', '–')
    """
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


def percent(share: float, digits: int = 2) -> str:
    """As a percentage."""
    return f"{share:.{digits}%}" if math.isfinite(share) else "–"


def span(step_s: int) -> str:
    """
    >>> span(1), span(900), span(10_800), span(86_400)
    ('second', '15 minutes', '3 hours', 'day')
    """
    units = ((604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, unit = next((size, unit) for size, unit in units if step_s % size == 0)
    many = step_s // size
    return unit if many == 1 else f"{many} {unit}s"
