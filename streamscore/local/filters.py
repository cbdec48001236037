"""FilterCriteria of stream mappings: the part of EventBridge's pattern language that streams can use."""

import base64
import json
from collections.abc import Callable
from typing import Any

from common.errors import InvalidInputError

type Test = Callable[[Any], bool]
_ABSENT = object()


def compile_filters(patterns: list[str]) -> Test | None:
    """A test of a record as the function would get it: any pattern matches. None when there is no pattern."""
    if not patterns:
        return None
    tests = [_pattern(_parsed(text), text) for text in patterns]
    return lambda record: any(test(_document(record)) for test in tests)


def _parsed(text: str) -> dict[str, Any]:
    try:
        pattern = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"the filter pattern {text!r} is not JSON: {error}") from error
    if not isinstance(pattern, dict):
        raise InvalidInputError(f"the filter pattern {text!r} is not a JSON object")
    return pattern


def _document(record: dict[str, Any]) -> Any:
    """What patterns look at: of a Kinesis record, `data` decoded; data that is not JSON matches nothing."""
    if "kinesis" not in record:
        return record
    kinesis = record["kinesis"]
    try:
        data = json.loads(base64.b64decode(kinesis["data"]))
    except ValueError:
        data = _ABSENT
    return {**kinesis, "data": data}


def _pattern(pattern: dict[str, Any], text: str) -> Test:
    tests = [(key, _node(value, text)) for key, value in pattern.items()]

    def matches(value: Any) -> bool:
        fields = value if isinstance(value, dict) else {}
        return all(test(fields.get(key, _ABSENT)) for key, test in tests)

    return matches


def _node(value: Any, text: str) -> Test:
    if isinstance(value, dict):
        return _pattern(value, text)
    if isinstance(value, list):
        tests = [_leaf(leaf, text) for leaf in value]
        return lambda found: any(test(found) for test in tests)
    raise InvalidInputError(
        f"in the filter pattern {text!r}, {value!r} must be an object or a list of values"
    )


def _leaf(leaf: Any, text: str) -> Test:
    if not isinstance(leaf, dict):
        return lambda found: found is not _ABSENT and type(found) is type(leaf) and found == leaf
    match leaf:
        case {"exists": bool(wanted)}:
            return lambda found: (found is not _ABSENT and not isinstance(found, dict)) is wanted
        case {"prefix": str(start)}:
            return lambda found: isinstance(found, str) and found.startswith(start)
        case {"suffix": str(end)}:
            return lambda found: isinstance(found, str) and found.endswith(end)
        case {"anything-but": [*others]}:
            return lambda found: found is not _ABSENT and found not in others
    raise InvalidInputError(f"in the filter pattern {text!r}, {leaf!r} is not supported by the local stack")
