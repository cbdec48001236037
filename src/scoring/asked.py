"""What the body of a prediction asks: about an event of the spec, or about a ready vector of features.

`{"features": {name: number or null, …}}` and nothing beside it is a vector. An event has an id and a time at
least, so that one with a field named `features` is still an event.
"""

import hashlib
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import numpy as np

from common.errors import RecordRefusedError
from scoring.problems import ProblemError, Refusals
from stream_features.events import Decoded, Decoder, Event, Label
from stream_features.spec import Spec

DIGEST_BYTES = 16
_LARGEST = float(np.finfo(np.float32).max)
_WHOLE_BELOW = 2**53
_SHOWN_CHARACTERS = 64


class Asked(NamedTuple):
    """An event and the digest of how it was written, or a ready vector: little-endian float32 [F], NaN for
    null.
    """

    event: Event | None
    digest: bytes
    vector: bytes


class _OnlyFeatures(msgspec.Struct, forbid_unknown_fields=True):
    features: msgspec.Raw


class Reader:
    """Reads bodies of one spec."""

    def __init__(self, spec: Spec, decoder: Decoder) -> None:
        self._decoder, self._names, self._refusals = decoder, spec.feature_names, Refusals(spec)
        self._only_features = msgspec.json.Decoder(_OnlyFeatures)
        self._object = msgspec.json.Decoder(dict[str, msgspec.Raw])

    def read(self, bodies: Sequence[bytes], arrival_ms: int) -> list[Asked | ProblemError]:
        """What each body asks, or what is wrong with it."""
        vectors = {
            n: features for n, body in enumerate(bodies) if (features := self._ready(body)) is not None
        }
        events = [body for n, body in enumerate(bodies) if n not in vectors]
        decoded = zip(events, self._decoder.decode_all(events, [arrival_ms] * len(events)), strict=True)
        return [
            self._asked(vectors[n]) if n in vectors else self._event(*next(decoded))
            for n in range(len(bodies))
        ]

    def _ready(self, body: bytes) -> bytes | None:
        """The features of a body that holds nothing else."""
        if (
            b"features" not in body and b"\\" not in body
        ):  # nearly all; an escape may stand for a letter of it
            return None
        try:
            return bytes(self._only_features.decode(body).features)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def _asked(self, features: bytes) -> Asked | ProblemError:
        try:
            return Asked(None, b"", self._vector(features))
        except ProblemError as problem:
            return problem

    def _event(self, body: bytes, found: Decoded) -> Asked | ProblemError:
        if isinstance(found, Event):
            return Asked(found, digest(self._decoder.hidden(body)), b"")
        if isinstance(found, Label):
            found = RecordRefusedError("is_label", "type: a label is not scored; put it on the stream")
        return self._refusals.problem(found)

    def _vector(self, features: bytes) -> bytes:
        try:
            given = self._object.decode(features)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise _unfit("features", "wrong_type", "expected an object of numbers by feature name") from error
        for name in given:
            if name not in self._names:
                raise _unfit(f"features.{name}", "unknown_feature", "this spec has no such feature")
        for name in self._names:
            if name not in given:
                raise _unfit(f"features.{name}", "missing_feature", "is missing; null says it is not known")
        return np.array([_number(name, bytes(given[name])) for name in self._names], "<f4").tobytes()


def digest(body: bytes) -> bytes:
    """What tells one request from another: the first 16 bytes of the sha256 of its canonical JSON.

    Blanks, the order of keys, escapes, and how a number is written (12.30, 12.3, 1.23e1) make no difference.
    """
    with suppress(msgspec.MsgspecError, RecursionError, UnicodeError):  # odd beyond reading: as it is written
        body = _canonical(_values(body))
    return hashlib.sha256(body).digest()[:DIGEST_BYTES]


def _by_value(written: str) -> float | int | str:
    number = float(written)
    if math.isinf(number):  # beyond float64: JSON has no such number
        return written
    return int(number) if number.is_integer() and abs(number) < _WHOLE_BELOW else number


_values = msgspec.json.Decoder(float_hook=_by_value).decode
_canonical = msgspec.json.Encoder(order="sorted").encode


def _number(name: str, raw: bytes) -> float:
    """A JSON number within float32, or null as NaN."""
    if raw == b"null":
        return float("nan")
    if raw[:1] not in b"-0123456789":
        raise _unfit(f"features.{name}", "wrong_type", "expected a number or null")
    value = float(raw)
    if abs(value) > _LARGEST:
        raise _unfit(f"features.{name}", "out_of_range", "beyond what a float32 holds")
    return value


def _unfit(place: str, reason: str, told: str) -> ProblemError:
    place = place[:_SHOWN_CHARACTERS]
    return ProblemError("invalid_features", f"{place}: {told}", reason=reason, field=place)
