"""What becomes of entities' values before anything is done with them: of those with `hash = true` their keyed
hash. Pure; the key is an argument.
"""

import json
import re

import msgspec
from msgspec import Raw

from common.errors import InvalidInputError, RecordRefusedError
from common.keyed_hash import hashed_id
from stream_features import values
from stream_features.spec_model import Spec

_object = msgspec.json.Decoder(dict[str, Raw])
_NOTHING = Raw(b"null")


def hashes_entities(spec: Spec) -> bool:
    """Whether the spec has an entity with `hash = true`, so that a key is needed."""
    return any(entity.hash for entity in spec.entities)


def unhashed(spec: Spec) -> Spec:
    """The same spec with entities as they are sent: for what reads and writes a producer's own files."""
    plain = tuple(msgspec.structs.replace(entity, hash=False) for entity in spec.entities)
    return msgspec.structs.replace(spec, entities=plain)


class EntityIds:
    """The ids that a spec's entities are kept under; InvalidInputError if some are hashed without a key."""

    def __init__(self, spec: Spec, key: bytes | None) -> None:
        self._hashed = [entity.hash for entity in spec.entities]
        fields = [entity.field for entity in spec.entities if entity.hash]
        if fields and key is None:
            raise InvalidInputError(
                f"{', '.join(fields)}: hash = true needs the stack's key, and none is at hand"
            )
        self._key = key or b""
        self._fields = frozenset(fields)
        self._loose = [_pair(field) for field in fields]

    @property
    def are_as_sent(self) -> bool:
        """Whether no entity is hashed."""
        return not self._fields

    def of(self, sent: tuple[str, ...]) -> tuple[str, ...]:
        """The ids of a record's entities, in the spec's order."""
        return tuple(
            [
                hashed_id(self._key, one) if is_it else one
                for one, is_it in zip(sent, self._hashed, strict=True)
            ]
        )

    def id(self, place: int, sent: str) -> str:
        """The id of one entity, by its place in the spec."""
        return hashed_id(self._key, sent) if self._hashed[place] else sent

    def hidden(self, data: bytes) -> bytes:
        """A producer's record with ids in the place of values, as far as it can be read; it decodes to the
        same. A value that is no id at all becomes null.
        """
        if self.are_as_sent:
            return data
        try:
            found = _object.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._hidden_in_text(data)
        own = {name: self._kept(bytes(found[name])) for name in self._fields & found.keys()}
        return msgspec.json.encode({**found, **own})

    def _kept(self, raw: bytes) -> Raw:
        try:
            return Raw(msgspec.json.encode(hashed_id(self._key, values.identifier(raw, ""))))
        except RecordRefusedError:
            return _NOTHING

    def _hidden_in_text(self, data: bytes) -> bytes:
        """Text that is no JSON, or cut off: what follows a field's name is taken for its value."""
        for pair in self._loose:
            data = pair.sub(lambda found: found[1] + bytes(self._kept(found[2])), data)
        return data


def _pair(field: str) -> "re.Pattern[bytes]":
    """A JSON member of that name, with a text or a whole number."""
    name = re.escape(json.dumps(field).encode())
    return re.compile(name.join((b"(", rb"\s*:\s*)")) + rb'("(?:[^"\\]|\\.)*"|-?\d+)')
