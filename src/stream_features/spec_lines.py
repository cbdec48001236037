"""Which line of a TOML text a key stands on: `tomllib` does not say, and an error needs its line."""

import re

_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*(?:=|\.)""")


class Lines:
    """Line numbers (from 1) of tables and of the keys in them; a table is its header and its ordinal."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, int, str], int] = {}
        counts: dict[str, int] = {}
        table, ordinal = "", 0
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                table = header.group(1)
                ordinal = counts[table] = counts.get(table, -1) + 1
                self._lines.setdefault((table, ordinal, ""), number)
            elif key := _KEY.match(line):
                self._lines.setdefault((table, ordinal, key.group(1) or key.group(2) or key.group(3)), number)

    def of(self, table: str, key: str = "", ordinal: int = 0) -> int:
        """The key's line, else its table's, else 1."""
        header = self._lines.get((table, ordinal, ""), self._lines.get(("", 0, table), 1))
        inner = self._lines.get((f"{table}.{key}", 0, ""), header)
        return self._lines.get((table, ordinal, key), inner)
