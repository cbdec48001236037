"""What the emulator does over and over, done once: the same answers for a fraction of its CPU.

Of a PartiQL write three quarters went into reading its text; texts repeat, parameters do not. A projection
was read again for every item, and an item's size, which each write asks for three times, took numbers apart.
What is unusual is left to the emulator's own code. Runs in its environment, beside `emulator_launcher`.
"""

import functools
from binascii import a2b_base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ministack.services import dynamodb

_TEXTS, _NUMBERS = 1024, 65_536


class _Place(dict[str, Any]):
    """Stands for the parameter at `place` while a statement is read."""

    def __init__(self, kind: str, place: int) -> None:
        super().__init__({kind: "0"})
        self.place = place


def read_statements_once() -> None:
    """Read each PartiQL text once for each combination of parameter types, and fill the parameters in."""
    parse = dynamodb.parse_partiql_statement

    @functools.lru_cache(_TEXTS)
    def form(text: str, kinds: tuple[str, ...]) -> Any:
        """The statement with places in it; None where the parameters do not stay what they are."""
        places = [_Place(kind, n) for n, kind in enumerate(kinds)]
        try:
            parsed = parse(text, places)
        except Exception:  # whatever is wrong with it, the statement's own reading will say
            return None
        return parsed if sorted(_places(parsed)) == list(range(len(kinds))) else None

    def parsed(text: str, parameters: Any) -> Any:
        kinds = _kinds(parameters)
        known = form(text, kinds) if kinds else None
        return parse(text, parameters) if known is None else _filled(known, parameters)

    dynamodb.parse_partiql_statement = parsed


def _kinds(parameters: Any) -> tuple[str, ...]:
    """The types of the parameters; nothing if one is not an attribute value."""
    if not isinstance(parameters, list) or any(type(p) is not dict or len(p) != 1 for p in parameters):
        return ()
    return tuple([kind for parameter in parameters for kind in parameter])


def _places(node: Any) -> list[int]:
    if isinstance(node, _Place):
        return [node.place]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
    return [place for child in children for place in _places(child)]


def _filled(node: Any, parameters: Sequence[Any]) -> Any:
    kind = type(node)
    if kind is _Place:
        return parameters[node.place]
    if kind is dict:
        return {key: _filled(child, parameters) for key, child in node.items()}
    if kind is list or kind is tuple:
        return kind([_filled(child, parameters) for child in node])
    return node


def read_projections_once() -> None:
    """Read a projection once, if it names whole attributes by aliases, as ours do."""
    project = dynamodb._project_item

    def projected(item: dict[str, Any], expression: str, aliases: Mapping[str, str] | None) -> dict[str, Any]:
        names = _projected(expression, tuple((aliases or {}).items()))
        if names is None:
            return project(item, expression, aliases)  # type: ignore[no-any-return]
        return {name: item[name] for name in names if name in item}

    dynamodb._project_item = projected


@functools.lru_cache(_TEXTS)
def _projected(expression: str, aliases: tuple[tuple[str, str], ...]) -> tuple[str, ...] | None:
    known = dict(aliases)
    names = tuple([known.get(path.strip(), "") for path in expression.split(",")])
    plain = all(name and not {".", "["} & set(name) for name in names)
    return names if plain and len(set(names)) == len(names) else None


def size_and_check_quickly() -> None:
    """Sizes of items, and what is wrong with parameters, without a second look at known numbers."""
    size_of, wrong_with = dynamodb._attribute_value_size, dynamodb._partiql_parameter_error
    number_size = functools.lru_cache(_NUMBERS)(dynamodb._number_size_bytes)
    number_wrong = functools.lru_cache(_NUMBERS)(dynamodb._partiql_number_param_error)

    def size(value: Any) -> Any:
        if type(value) is dict and len(value) == 1:
            ((kind, held),) = value.items()
            if kind == "S" and type(held) is str:
                return len(held) if held.isascii() else len(held.encode())
            if kind == "N" and type(held) is str:
                return number_size(held)
            if kind == "B" and type(held) is str:
                with suppress(ValueError):
                    return len(a2b_base64(held))
        return size_of(value)

    def item_size(item: Any) -> Any:
        if not isinstance(item, dict):
            return 0
        names = "".join(item)
        return (len(names) if names.isascii() else len(names.encode())) + sum(map(size, item.values()))

    def wrong(value: Any, level: int = 1) -> Any:
        if level == 1 and type(value) is dict and len(value) == 1:
            ((kind, held),) = value.items()
            if kind in {"S", "B"}:
                return None
            if kind == "N" and type(held) is str:
                return number_wrong(held)
        return wrong_with(value, level)

    dynamodb._attribute_value_size, dynamodb._item_size_bytes = size, item_size
    dynamodb._partiql_parameter_error = wrong
