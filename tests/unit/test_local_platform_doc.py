"""Every rule in docs/local-platform.md names the test that says so, and that test exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/local-platform.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(test_\w+)`")


def defined() -> set[str]:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"^def (test_\w+)", source, re.MULTILINE)}


def rows() -> list[list[str]]:
    """Of the tables that have a column for tests."""
    lines = [
        line
        for line in PAGE.split("## Faults on purpose")[0].splitlines()
        if line.startswith("| ") and not line.startswith("|---")
    ]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_test_that_the_page_names_exists() -> None:
    assert set(NAMED.findall(PAGE)) <= defined()


def test_every_row_has_a_test_and_a_source_that_the_page_lists() -> None:
    sources = set(re.findall(r"\*\*([A-Z])\*\*", PAGE))
    for setting, rule, source, ours, test in rows():
        if setting in {"setting", "what"}:
            continue
        assert rule and ours
        assert NAMED.search(test), setting
        assert set(re.findall(r"\b[A-Z]\b", source)) <= sources, setting
        assert source, setting
