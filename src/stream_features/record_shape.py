"""What of a JSON record is read, as a struct type that msgspec fills; all else in a record is skipped."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Shape:
    """A JSON object: of each key that is read the type, or the shape of an object within."""

    def __init__(self) -> None:
        self._parts: dict[str, Any] = {}
        self._is_clear = True

    @property
    def is_clear(self) -> bool:
        """Whether no key is read in two ways that one type cannot serve."""
        return self._is_clear and all(part.is_clear for part in self._parts.values() if type(part) is Shape)

    def add(self, path: Sequence[str], kind: Any) -> tuple[int, ...]:
        """Read what lies at `path` as `kind`; its place in the struct, in the struct within, and so on."""
        key, *rest = path
        part = self._parts.setdefault(key, Shape() if rest else kind)
        place = list(self._parts).index(key)
        if rest and isinstance(part, Shape):
            return (place, *part.add(rest, kind))
        if part != kind:
            self._is_clear = self._is_clear and not (rest or isinstance(part, Shape) or Raw in (part, kind))
            self._parts[key] = part | kind if self._is_clear else part
        return (place,)

    def struct(self) -> type[msgspec.Struct]:
        """An absent key is UNSET, and so is every key of an instance without arguments."""
        names = {_name(place): key for place, key in enumerate(self._parts)}
        kinds = [part.struct() | None if isinstance(part, Shape) else part for part in self._parts.values()]
        members = [(name, kind | UnsetType, UNSET) for name, kind in zip(names, kinds, strict=True)]
        return msgspec.defstruct("Record", members, rename=names, gc=False)


def inner(column: Sequence[Any], places: Sequence[int]) -> Sequence[Any]:
    """What lies within each object of a column; UNSET or None where the way there is missing."""
    for name in map(_name, places):
        column = [found if found is UNSET or found is None else getattr(found, name) for found in column]
    return column


def _name(place: int) -> str:
    return f"k{place}"
