"""An entity's value as its keyed hash: the same all over a stack, useless outside. Pure."""

import hashlib

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
