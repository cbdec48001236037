"""An entity's value as its keyed hash: the same all over a stack, useless outside. Pure."""

import hashlib
import re

HASH_BYTES = 16
"""Two of a trillion values have the same hash once in a hundred trillion stacks."""


def key_of(secret: str) -> bytes:
    """The hashes' key, of the text of the stack's secret."""
    return hashlib.blake2b(secret.encode(), digest_size=32).digest()


def keyed_hash(key: bytes, value: str) -> str:
    """32 hex digits: BLAKE2b with a key (RFC 7693), of 16 bytes.

    >>> keyed_hash(key_of("streamscore-local"), "0012") == keyed_hash(key_of("streamscore-local"), "12")
    False
    """
    return hashlib.blake2b(value.encode(), key=key, digest_size=HASH_BYTES).hexdigest()


def hashed_id(key: bytes, value: str) -> str:
    """The id a hashed entity is kept under: `~` and its keyed hash. What is in that form is one already.

    >>> once = hashed_id(key_of("streamscore-local"), "4111111111111111")
    >>> len(once), once == hashed_id(key_of("streamscore-local"), once)
    (33, True)
    """
    return value if is_hashed(value) else f"~{keyed_hash(key, value)}"


def is_hashed(text: str) -> bool:
    """Whether a text has the form of a hashed entity's id."""
    return _HASHED.fullmatch(text) is not None


_HASHED = re.compile(r"~[0-9a-f]{32}")
