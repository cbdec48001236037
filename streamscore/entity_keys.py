"""The key of hashed entities outside of functions: the stack's secret, or what the environment says."""

import os
from collections.abc import Mapping

from common.errors import InvalidInputError
from common.keyed_hash import key_of
from stream_features.entity_ids import EntityIds, hashes_entities
from stream_features.entity_key import entity_key
from stream_features.spec_model import Spec
from streamscore.decided.decisions_log import Stack
from streamscore.local.log_key import LOG_KEY
from streamscore.room_client import RoomClient

VARIABLE = "STREAMSCORE_ENTITY_KEY"
LOCAL_KEY = key_of(LOG_KEY)
"""Of every local stack, whose secret is none."""
SECRET = "LogKeySecretArn"  # noqa: S105 - the output that names it
"""The output that names the secret."""


def key_of_stack(stack: Stack, spec: Spec) -> bytes | None:
    """The stack's key; None, unasked, if nothing is hashed."""
    return entity_key(spec, lambda: RoomClient(stack.client("secretsmanager")), stack.outputs.get(SECRET, ""))


def key_of_environment(spec: Spec, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """The key for work without a stack; InvalidInputError if it is needed and not there."""
    if not hashes_entities(spec):
        return None
    if VARIABLE not in environ:
        raise InvalidInputError(
            f"the spec hashes entities: set {VARIABLE} to the text of the stack's secret ({SECRET} among its "
            "outputs; `{LOG_KEY}` is the local stack's), so that ids are those that are served"
        )
    return key_of(environ[VARIABLE])


def place_of(spec: Spec, entity: str) -> int:
    """Its place among the spec's entities; InvalidInputError if the spec has no such entity."""
    names = [known.name for known in spec.entities]
    if entity not in names:
        raise InvalidInputError(f"{entity}: not an entity of the stack's spec; it has {', '.join(names)}")
    return names.index(entity)


def kept_id(stack: Stack, spec: Spec, entity: str, value: str) -> str:
    """The id that the stack keeps a value under; InvalidInputError if the spec has no such entity."""
    place = place_of(spec, entity)
    if not spec.entities[place].hash:
        return value
    return EntityIds(spec, key_of_stack(stack, spec)).id(place, value)
