"""Which line of a TOML text a key stands on: `tomllib` does not say, and an error needs its line."""

import re

_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_-]+))\s*(?:=|\.)""")
_QUOTES_AND_SPACES = str.maketrans("", "", "\"' \t")
_PARTS = re.compile(r"""\"(?:\\.|[^"\\])*"|'[^']*'|\#.*|[\[{\]},\n]|[^\s\[{\]},"'\#]+""")


class Lines:
    """Line numbers (from 1) of tables and of the keys in them; a table is its header and its ordinal."""

    def __init__(self, text: str) -> None:
        self._text = text.splitlines()
        self._lines: dict[tuple[str, int, str], int] = {}
        counts: dict[str, int] = {}
        table, ordinal = "", 0
        for number, line in enumerate(self._text, start=1):
            if header := _HEADER.match(line):
                table = header.group(1).translate(_QUOTES_AND_SPACES)
                ordinal = counts[table] = counts.get(table, -1) + 1
                self._lines.setdefault((table, ordinal, ""), number)
            elif key := _KEY.match(line):
                self._lines.setdefault((table, ordinal, key.group(1) or key.group(2) or key.group(3)), number)

    def of(self, table: str, key: str = "", ordinal: int = 0) -> int:
        """The key's line, else its table's, else that of the table around it, else 1."""
        inner = f"{table}.{key}" if table else key
        for place in ((table, ordinal, key), (inner, 0, ""), (table, ordinal, "")):
            if place in self._lines:
                return self._lines[place]
        around, _, last = table.rpartition(".")
        return self.of(around, last) if table else 1

    def of_element(self, table: str, key: str, element: int, ordinal: int = 0) -> int:
        """The line on which element number `element` (from 0) of the array at the key begins, else the
        key's.
        """
        first = self.of(table, key, ordinal)
        depth, commas, begun = 0, 0, False
        rest = "\n".join(self._text[first - 1 :]).partition("=")[2]
        line = first
        for part in _PARTS.findall(rest):
            if part == "\n":
                line += 1
            elif part.startswith("#"):
                continue
            elif depth == 1 and part == ",":
                commas, begun = commas + 1, False
            elif part in {"]", "}"}:
                depth -= 1
                if depth <= 0:
                    break
            else:
                if depth == 1 and not begun and commas == element:
                    return line
                begun = begun or depth == 1
                depth += part in {"[", "{"}
        return first
