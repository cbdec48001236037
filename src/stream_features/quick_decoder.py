"""Decodes the records nearly all producers send, fast; what looks unusual is for the careful decoder."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from common.errors import RecordRefusedError
from stream_features import values
from stream_features.careful_decoder import DAY_MS, MAX_TRACE_CHARACTERS, nested, reader
from stream_features.event_types import Event, Label, event_hash, label_hash
from stream_features.spec_model import Field, Spec

_MAX_CHARACTERS = values.MAX_TEXT_BYTES // 4  # at most four bytes each
_IDENTIFIER, _TIME, _TEXT, _ANSWER = str | int, str | int, str, bool | int
_SECOND_MS = {f":{second:02}": 1000 * second for second in range(60)}
_REST_MS = {"": 0, "Z": 0} | {f".{ms:03}Z": ms for ms in range(1000)}
_UNUSUAL = (ValueError, KeyError, TypeError, RecursionError, RecordRefusedError, msgspec.MsgspecError)


class QuickDecoder:
    """Typed in one go by msgspec. Gives exactly what `CarefulDecoder` gives, or None."""

    def __init__(self, spec: Spec) -> None:
        event = self._event = spec.event
        self._types: dict[str, Any] = {}
        self._usable = True
        self._id, self._time = self._slot(event.id, _IDENTIFIER), self._slot(event.time, _TIME)
        self._entities = [self._slot(entity.field, _IDENTIFIER) for entity in spec.entities]
        self._fields = [
            (self._slot(field.path[0], Raw), field.optional, _raw_reader(field)) for field in event.fields
        ]
        self._kept = [list(spec.fields).index(name) for name in event.keep]
        self._type, self._redrive = self._slot("type", _TEXT), self._slot("redrive", bool)
        self._label = self._slot(event.label, _ANSWER) if event.label else None
        self._label_time = self._slot("label_time", _TIME)
        self._trace = self._slot(event.trace, _TEXT) if event.trace else None
        self._json = msgspec.json.Decoder(_record_type(self._types))

    def _slot(self, key: str, kind: Any) -> int:
        """The place of `key` in a record; a key that is read in two ways makes the spec unusable here."""
        if self._types.setdefault(key, kind) != kind:
            self._usable = False
        return list(self._types).index(key)

    def decode(self, data: bytes, arrival_ms: int) -> Event | Label | None:
        """The record in `data`; None if the careful decoder must say what it is."""
        if not self._usable:
            return None
        try:
            str(data, "utf-8")
            found = msgspec.structs.astuple(self._json.decode(data))
            if found[self._type] == "label":
                return self._as_label(found, arrival_ms)
            return self._as_event(found, arrival_ms)
        except _UNUSUAL:
            return None

    def _as_event(self, found: tuple[Any, ...], arrival_ms: int) -> Event | None:
        when_ms, max_age_ms = _time_ms(found[self._time]), self._event.max_age_ms
        if when_ms > arrival_ms + (max_age_ms or DAY_MS):
            return None
        if max_age_ms is not None and when_ms < arrival_ms - max_age_ms:
            return None
        trace = None if self._trace is None else found[self._trace]
        values = [
            None if optional and found[slot] is UNSET else read(bytes(found[slot]))
            for slot, optional, read in self._fields
        ]
        identity = _identifier(found[self._id])
        return Event(
            identity,
            event_hash(identity),
            when_ms,
            arrival_ms,
            None if trace is None else _trace(trace),
            tuple([_identifier(found[slot]) for slot in self._entities]),
            tuple(values),
            tuple([values[place] for place in self._kept]),
            found[self._redrive] is True,
        )

    def _as_label(self, found: tuple[Any, ...], arrival_ms: int) -> Label | None:
        if self._label is None:
            return None
        when_ms, label_time_ms = _time_ms(found[self._time]), _time_ms(found[self._label_time])
        answer = found[self._label]
        if max(when_ms, label_time_ms) > arrival_ms + (self._event.max_age_ms or DAY_MS) or answer not in {
            0,
            1,
        }:
            return None
        identity = _identifier(found[self._id])
        return Label(
            identity,
            label_hash(identity),
            when_ms,
            arrival_ms,
            bool(answer),
            label_time_ms,
            tuple([_identifier(found[slot]) for slot in self._entities]),
            found[self._redrive] is True,
        )


def _record_type(types: dict[str, Any]) -> type[msgspec.Struct]:
    names = {f"k{slot}": key for slot, key in enumerate(types)}
    members = [(name, types[key] | UnsetType, UNSET) for name, key in names.items()]
    return msgspec.defstruct("Record", members, rename=names, gc=False)


def _identifier(value: Any) -> str:
    """A text of a usual length, or an integer but 0, which may have been written -0."""
    if type(value) is str and 0 < len(value) <= _MAX_CHARACTERS:
        return value
    if type(value) is int and 0 != value.bit_length() < 64:
        return str(value)
    raise ValueError


def _trace(value: Any) -> str | None:
    if value is UNSET:
        return None
    if len(value) <= MAX_TRACE_CHARACTERS and value.isascii():
        return str(value)
    raise ValueError


def _time_ms(value: Any) -> int:
    """Epoch numbers, and RFC 3339 in UTC with no fraction or three digits; all else is unusual."""
    if type(value) is int and 0 <= value <= values.LIMIT:
        return value * 1000 if value < values.SECONDS_BELOW else value
    return _minute_ms(value[:16]) + _SECOND_MS[value[16:19]] + _REST_MS[value[19:]]


@lru_cache(maxsize=4096)
def _minute_ms(minute: str) -> int:
    return values.rfc3339_ms(f"{minute}:00Z", "minute")


def _raw_reader(field: Field) -> Callable[[bytes], Any]:
    """Reads a value from its raw JSON text; a missing or null one is for the careful decoder."""
    read = reader(field)
    if len(field.path) > 1:
        return lambda raw: read(nested(raw, field) or b"null")
    if field.kind in {"decimal", "int"}:
        return _fixed_reader(field.digits)
    return read


def _fixed_reader(digits: int) -> Callable[[bytes], int]:
    def read(raw: bytes) -> int:
        whole, _, fraction = raw.partition(b".")
        if len(raw) > 15 or len(fraction) > digits:
            raise ValueError
        return int(whole + fraction.ljust(digits, b"0"))

    return read
