"""The key of hashed entities, read where a function begins: the text of the stack's secret."""

from collections.abc import Callable
from typing import Any

from common.keyed_hash import key_of
from stream_features.entity_ids import hashes_entities
from stream_features.spec_model import Spec


def entity_key(spec: Spec, secrets: Callable[[], Any], secret: str) -> bytes | None:
    """The key, by the secret's name; None, unasked, if nothing is hashed. `secrets` makes the client.

    ServiceError if it may not be read: the stack's parameter HashedEntities grants it. Nothing is decided
    without it, for an entity would have two histories.
    """
    return read_key(secrets(), secret) if hashes_entities(spec) else None


def read_key(secrets: Any, secret: str) -> bytes:
    """The key, by the secret's name; `secrets` is the client."""
    return key_of(str(secrets.get_secret_value(SecretId=secret)["SecretString"]))
