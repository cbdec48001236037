"""DynamoDB's typed values as the values they are. Ours hold S, N, B, BOOL, L and M only."""

import base64
from typing import Any

_READ: dict[str, Any] = {
    "S": str,
    "N": lambda text: int(text) if text.lstrip("-").isdigit() else float(text),
    "B": lambda data: base64.b64encode(data).decode(),
    "BOOL": bool,
    "L": lambda values: [plain(value) for value in values],
    "M": lambda values: {name: plain(value) for name, value in values.items()},
}


def plain(value: dict[str, Any]) -> Any:
    """The value of one attribute as JSON can carry it (bytes as base64).

    >>> plain({"L": [{"N": "1.50"}, {"M": {"a": {"S": "x"}}}]})
    [1.5, {'a': 'x'}]
    """
    ((kind, content),) = value.items()
    return _READ[kind](content)
