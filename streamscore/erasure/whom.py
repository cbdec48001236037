"""The entity that is to be forgotten, and whether something names it. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from common.errors import InvalidInputError, RecordRefusedError
from stream_features import values
from stream_features.sharing import sub_keys
from stream_features.spec_model import Spec
from stream_features.state import item_key
from streamscore.entity_keys import place_of

_object = msgspec.json.Decoder(dict[str, Raw])
_MASK = b"*"


class Whom(NamedTuple):
    """`field` is the event's key that holds the value; `place` is the entity's among the spec's, 0 for the
    primary one. `value` is what the stack keeps, `sent` what its producer sends: the same unless hashed.
    """

    entity: str
    value: str
    field: str
    place: int
    sent: str

    @property
    def forms(self) -> tuple[str, ...]:
        """All that stands for it, somewhere."""
        return tuple(dict.fromkeys((self.value, self.sent)))

    @property
    def is_primary(self) -> bool:
        """Whether the stream is parted by it: then its rows to score lie in its own item alone."""
        return self.place == 0

    @property
    def keys(self) -> list[str]:
        """Of the state table: its item, and the sub-items it has if it is split."""
        key = item_key(self.entity, self.value)
        return [key, *sub_keys(key)]

    def is_among(self, entities: Sequence[str]) -> bool:
        """Whether a row of these entities' values, in the spec's order, is about it."""
        return self.place < len(entities) and entities[self.place] == self.value

    def in_decision(self, item: Mapping[str, Any]) -> bool:
        """Whether an item of the decisions table names it, a label's stub too."""
        if self.is_primary:
            return bool(item.get("entity") == {"S": self.value})
        return bool(item.get("entities", {}).get("M", {}).get(self.entity) == {"S": self.value})

    def in_record(self, data: bytes) -> bool | None:
        """Whether a producer's record names it; None if the record is no JSON object."""
        try:
            raw = _object.decode(data).get(self.field)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._in_loose_json(data)
        return raw is not None and _text(bytes(raw)) in self.forms

    def masked(self, data: bytes) -> bytes:
        """A record that cannot be read, with asterisks for the value wherever it follows the field's name."""
        field, *forms = (re.escape(json.dumps(text)[1:-1].encode()) for text in (self.field, *self.forms))
        named = re.compile(rb'("' + field + rb'"\s*:\s*"?)(' + b"|".join(forms) + rb")(?![0-9A-Za-z_.-])")
        return named.sub(lambda found: found[1] + _MASK * len(found[2]), data)

    def _in_loose_json(self, data: bytes) -> bool | None:
        """Many producers write NaN, which Python reads."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            return None
        return isinstance(found, dict) and str(found.get(self.field)) in self.forms


def whom(spec: Spec, entity: str, value: str, sent: str | None = None) -> Whom:
    """The entity with what is kept of its value and, if that is a hash, what was sent. InvalidInputError if
    the spec has no such entity, or none could have such a value.
    """
    place = place_of(spec, entity)
    if not 0 < len(value.encode()) <= values.MAX_TEXT_BYTES:
        raise InvalidInputError(f"the value has to have 1 to {values.MAX_TEXT_BYTES} bytes, as every id has")
    return Whom(entity, value, spec.entities[place].field, place, value if sent is None else sent)


def _text(raw: bytes) -> str | None:
    try:
        return values.identifier(raw, "")
    except RecordRefusedError:
        return None
