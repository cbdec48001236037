"""FilterCriteria of stream mappings: the part of EventBridge's pattern language that streams can use.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
"""

import base64
import json
import operator
from collections.abc import Callable
from typing import Any

from common.errors import InvalidInputError

type Test = Callable[[Any], bool]
_ABSENT = object()


def compile_filters(patterns: list[str]) -> Test | None:
    """A test of a record as the function would get it: any pattern matches. None when there is no pattern."""
    if not patterns:
        return None
    tests = [_pattern(parsed_pattern(text), text) for text in patterns]
    return lambda record: _any_matches(tests, _document(record))


def _any_matches(tests: list[Test], document: Any) -> bool:
    return any(test(document) for test in tests)


def parsed_pattern(text: str) -> dict[str, Any]:
    """The pattern as data; raises InvalidInputError if it is not a JSON object."""
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
    tests = [
        _either(value, text) if key == "$or" else _field(key, _node(value, text))
        for key, value in pattern.items()
    ]
    return lambda value: all(test(value) for test in tests)


def _field(key: str, test: Test) -> Test:
    return lambda value: test(value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT)


def _either(value: Any, text: str) -> Test:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise InvalidInputError(f"in the filter pattern {text!r}, $or must be a list of objects")
    tests = [_pattern(one, text) for one in value]
    return lambda found: any(test(found) for test in tests)


def _node(value: Any, text: str) -> Test:
    if isinstance(value, dict):
        return _pattern(value, text)
    if isinstance(value, list):
        tests = [_leaf(leaf, text) for leaf in value]
        return lambda found: any(test(one) for test in tests for one in _values(found))
    raise InvalidInputError(
        f"in the filter pattern {text!r}, {value!r} must be an object or a list of values"
    )


def _values(found: Any) -> list[Any]:
    """Of a list, one of its elements has to match."""
    return found if isinstance(found, list) and found else [found]


def _leaf(leaf: Any, text: str) -> Test:
    """Strings match by character, numbers by how they are written (300 is not 300.0), as on AWS."""
    if not isinstance(leaf, dict):
        return lambda found: _same(found, leaf)
    test = None
    if len(leaf) == 1:
        ((name, argument),) = leaf.items()
        test = _OPERATORS.get(name, lambda _: None)(argument)
    if test is None:
        raise InvalidInputError(
            f"in the filter pattern {text!r}, {leaf!r} is not supported by the local stack"
        )
    return test


def _exists(wanted: Any) -> Test | None:
    if not isinstance(wanted, bool):
        return None
    return lambda found: (found is not _ABSENT and not isinstance(found, dict)) is wanted


def _text(test: Callable[[str, str], bool]) -> Callable[[Any], Test | None]:
    def operator_of(argument: Any) -> Test | None:
        if not isinstance(argument, str):
            return None
        return lambda found: isinstance(found, str) and test(found, argument)

    return operator_of


def _anything_but(argument: Any) -> Test | None:
    others = argument if isinstance(argument, list) else [argument]
    if any(isinstance(other, dict) for other in others):
        return None
    return lambda found: found is not _ABSENT and not any(_same(found, other) for other in others)


def _numeric(bounds: Any) -> Test | None:
    """`[">", 0, "<=", 5]`. What is not a number does not match: DynamoDB's are strings, so never."""
    pairs = list(zip(bounds[::2], bounds[1::2], strict=False)) if isinstance(bounds, list) else []
    sound = len(bounds) == 2 * len(pairs) and all(op in _COMPARE and _is_number(b) for op, b in pairs)
    if not (pairs and sound):
        return None
    return lambda found: _is_number(found) and all(_COMPARE[op](found, bound) for op, bound in pairs)


def _same(found: Any, leaf: Any) -> bool:
    return found is not _ABSENT and type(found) is type(leaf) and bool(found == leaf)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_COMPARE: dict[Any, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS: dict[str, Callable[[Any], Test | None]] = {
    "exists": _exists,
    "prefix": _text(str.startswith),
    "suffix": _text(str.endswith),
    "equals-ignore-case": _text(lambda found, word: found.casefold() == word.casefold()),
    "anything-but": _anything_but,
    "numeric": _numeric,
}
