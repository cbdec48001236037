"""What the emulator does over and over, done once: the same answers for a fraction of its CPU.

Of a PartiQL write three quarters went into reading its text; texts repeat, parameters do not. A projection
was read again for every item, and an item's size, which each write asks for three times, took numbers apart
and went through lists and maps by generators. What is unusual is left to the emulator's own code. Runs in its
environment, beside `emulator_launcher`.
"""

import functools
import threading
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ministack.services import dynamodb

TEXTS, _NUMBERS = 1024, 65_536
_SHALLOW = 16
"""A value this deep is within every limit."""


class Place(dict[str, Any]):
    """Stands for the parameter at `place` while a statement is read."""

    def __init__(self, kind: str, place: int) -> None:
        super().__init__({kind: "0"})
        self.place = place


def read_statements_once() -> Callable[[str, tuple[str, ...]], Any]:
    """Read each PartiQL text once for each combination of parameter types, and fill the parameters in.

    Returns what reads a text.
    """
    parse = dynamodb.parse_partiql_statement

    @functools.lru_cache(TEXTS)
    def form(text: str, kinds: tuple[str, ...]) -> Any:
        """The statement with places in it; None where the parameters do not stay what they are."""
        places = [Place(kind, n) for n, kind in enumerate(kinds)]
        try:
            parsed = parse(text, places)
        except Exception:  # whatever is wrong with it, the statement's own reading will say
            return None
        return parsed if sorted(_places(parsed)) == list(range(len(kinds))) else None

    def parsed(text: str, parameters: Any) -> Any:
        kinds = kinds_of(parameters)
        known = form(text, kinds) if kinds else None
        return parse(text, parameters) if known is None else _filled(known, parameters)

    dynamodb.parse_partiql_statement = parsed
    return form


def kinds_of(parameters: Any) -> tuple[str, ...]:
    """The types of the parameters; nothing if one is not an attribute value."""
    if not isinstance(parameters, list) or any(type(p) is not dict or len(p) != 1 for p in parameters):
        return ()
    return tuple([kind for parameter in parameters for kind in parameter])


def _places(node: Any) -> list[int]:
    if isinstance(node, Place):
        return [node.place]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
    return [place for child in children for place in _places(child)]


def _filled(node: Any, parameters: Sequence[Any]) -> Any:
    kind = type(node)
    if kind is Place:
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


@functools.lru_cache(TEXTS)
def _projected(expression: str, aliases: tuple[tuple[str, str], ...]) -> tuple[str, ...] | None:
    known = dict(aliases)
    names = tuple([known.get(path.strip(), "") for path in expression.split(",")])
    plain = all(name and not {".", "["} & set(name) for name in names)
    return names if plain and len(set(names)) == len(names) else None


def size_quickly() -> None:
    """Sizes of items without a call a value; of an item that is inserted, which its write asks for three
    times, once.
    """
    size_of, insert = dynamodb._attribute_value_size, dynamodb._partiql_insert
    number_size = functools.lru_cache(_NUMBERS)(dynamodb._number_size_bytes)
    inserting = threading.local()

    def sizes(values: Iterable[Any]) -> Any:
        total = 0
        for value in values:
            kind = held = None
            if type(value) is dict and len(value) == 1:
                ((kind, held),) = value.items()
            if kind == "S" and type(held) is str:
                total += len(held) if held.isascii() else len(held.encode())
            elif kind == "N" and type(held) is str:
                total += number_size(held)
            elif kind == "M" and type(held) is dict:
                total += 3 + len(held) + named_sizes(held)
            elif kind == "L" and type(held) is list and all(type(each) is dict for each in held):
                total += 3 + len(held) + sizes(held)
            else:
                total += binary_size(held) if kind == "B" and type(held) is str else size_of(value)
        return total

    def binary_size(held: str) -> Any:
        try:
            return len(a2b_base64(held))
        except ValueError:
            return size_of({"B": held})

    def named_sizes(item: dict[str, Any]) -> Any:
        names = "".join(item)
        return (len(names) if names.isascii() else len(names.encode())) + sizes(item.values())

    def item_size(item: Any) -> Any:
        if not isinstance(item, dict):
            return 0
        own = getattr(inserting, "own", None)
        if own is None or own[0] is not item:
            return named_sizes(item)
        if own[1] is None:
            own[1] = named_sizes(item)
        return own[1]

    def insert_sized_once(table: Any, parsed: Any) -> Any:
        inserting.own = [parsed.get("item"), None]  # it stays as it is until it is stored
        try:
            return insert(table, parsed)
        finally:
            inserting.own = None

    dynamodb._attribute_value_size = lambda value: sizes((value,))
    dynamodb._item_size_bytes, dynamodb._partiql_insert = item_size, insert_sized_once


def check_quickly() -> None:
    """What is wrong with a parameter, without a second look at known numbers."""
    wrong_with = dynamodb._partiql_parameter_error
    number_wrong = functools.lru_cache(_NUMBERS)(dynamodb._partiql_number_param_error)

    def wrong(value: Any, level: int = 1) -> Any:
        if level > _SHALLOW or type(value) is not dict or len(value) != 1:
            return wrong_with(value, level)
        ((kind, held),) = value.items()
        if kind in {"S", "B"}:
            return None
        if kind == "N" and type(held) is str:
            return number_wrong(held)
        if kind == "M" and type(held) is dict:
            return next(filter(None, [wrong(each, level + 1) for each in held.values()]), None)
        if kind == "L" and type(held) is list:
            return next(filter(None, [wrong(each, level + 1) for each in held]), None)
        return wrong_with(value, level)

    dynamodb._partiql_parameter_error = wrong
