"""DynamoDB's typed values as the values they are. Ours hold S, N, B, BOOL, L and M only."""

import base64
from typing import Any


def _number(text: str) -> int | float:
    """Whole numbers as int however they are written: DynamoDB gives 900 back for 900.00."""
    if text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    return int(number) if number.is_integer() else number


_READ: dict[str, Any] = {
    "S": str,
    "N": _number,
    "B": lambda data: base64.b64encode(data).decode(),
    "BOOL": bool,
    "L": lambda values: [plain(value) for value in values],
    "M": lambda values: {name: plain(value) for name, value in values.items()},
}


def plain(value: dict[str, Any]) -> Any:
    """The value of one attribute as JSON can carry it (bytes as base64).

    >>> plain({"L": [{"N": "1.50"}, {"N": "9.00"}, {"M": {"a": {"S": "x"}}}]})
    [1.5, 9, {'a': 'x'}]
    """
    ((kind, content),) = value.items()
    return _READ[kind](content)
