"""Decodes any record the exact way, and names what is wrong with one that cannot be used."""

import contextlib
import json
from collections.abc import Callable
from typing import NoReturn

import msgspec
from msgspec import UNSET, Raw, UnsetType

from common.errors import RecordRefusedError
from stream_features import values
from stream_features.event_types import Event, Label, event_hash, label_hash
from stream_features.spec_model import Field, Scalar, Spec

DAY_MS = 86_400_000
MAX_TRACE_CHARACTERS = 128
Reader = Callable[[bytes], Scalar]


class CarefulDecoder:
    """Decodes one value at a time from its raw JSON text; knows what to say of each that is wrong."""

    def __init__(self, spec: Spec) -> None:
        event = spec.event
        self._event = event
        self._keys: dict[str, int] = {}
        self._id, self._time = self._slot(event.id), self._slot(event.time)
        self._entities = [(entity.field, self._slot(entity.field)) for entity in spec.entities]
        self._fields = [(field, self._slot(field.path[0]), reader(field)) for field in event.fields]
        self._kept = [list(spec.fields).index(name) for name in event.keep]
        self._type, self._redrive = self._slot("type"), self._slot("redrive")
        self._label = self._slot(event.label) if event.label else -1
        self._label_time = self._slot("label_time")
        self._trace = self._slot(event.trace) if event.trace else -1
        self._json = msgspec.json.Decoder(_record_type(self._keys))

    def _slot(self, key: str) -> int:
        return self._keys.setdefault(key, len(self._keys))

    def decode(self, data: bytes, arrival_ms: int) -> Event | Label:
        """The record in `data`, which reached the stream at `arrival_ms`; else RecordRefusedError."""
        raws = self._raws(data)
        identity = values.identifier(self._required(raws, self._id, self._event.id), self._event.id)
        when_ms = values.time_ms(self._required(raws, self._time, self._event.time), self._event.time)
        entities = tuple(
            [values.identifier(self._required(raws, slot, name), name) for name, slot in self._entities]
        )
        redrive = raws[self._redrive] == b"true"
        if raws[self._type] == b'"label"':
            label, label_time_ms = self._answer(raws, when_ms, arrival_ms)
            return Label(
                id=identity,
                id_hash=label_hash(identity),
                time_ms=when_ms,
                arrival_ms=arrival_ms,
                label=label,
                label_time_ms=label_time_ms,
                entities=entities,
                redrive=redrive,
            )
        self._check_age(when_ms, arrival_ms, redrive)
        found = tuple([self._value(raws[slot], field, read) for field, slot, read in self._fields])
        return Event(
            id=identity,
            id_hash=event_hash(identity),
            time_ms=when_ms,
            arrival_ms=arrival_ms,
            trace=self._trace_of(raws),
            entities=entities,
            values=found,
            kept=tuple([found[i] for i in self._kept]),
            redrive=redrive,
        )

    def _raws(self, data: bytes) -> list[bytes | None]:
        """The raw JSON text of every key the spec knows; None where it is absent or null."""
        try:
            str(data, "utf-8")
            record = self._json.decode(data)
        except msgspec.ValidationError:
            raise RecordRefusedError("not_an_object", "the record is JSON, but no object") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            _refuse_malformed(data, error)
        return [_bytes_or_none(raw) for raw in msgspec.structs.astuple(record)]

    def _answer(self, raws: list[bytes | None], when_ms: int, arrival_ms: int) -> tuple[bool, int]:
        """What a label record says, and when that became known."""
        if self._event.label is None:
            raise RecordRefusedError("bad_label", "a label record, but the spec names no label")
        answer = raws[self._label]
        if answer not in {b"true", b"false", b"1", b"0"}:
            raise RecordRefusedError("bad_label", f"{self._event.label}: expected true or false")
        label_time_ms = values.time_ms(self._required(raws, self._label_time, "label_time"), "label_time")
        for name, moment_ms in ((self._event.time, when_ms), ("label_time", label_time_ms)):
            _check_ahead(moment_ms, arrival_ms, self._event.max_age_ms or DAY_MS, name)
        return answer in {b"true", b"1"}, label_time_ms

    def _check_age(self, when_ms: int, arrival_ms: int, redrive: bool) -> None:
        """What is put back may be of any age: it was young enough once, or a person says it shall count."""
        max_age_ms = self._event.max_age_ms
        _check_ahead(when_ms, arrival_ms, max_age_ms or DAY_MS, self._event.time)
        if max_age_ms is not None and not redrive and when_ms < arrival_ms - max_age_ms:
            raise RecordRefusedError("too_old", f"{self._event.time}: older than max_age when it arrived")

    def _trace_of(self, raws: list[bytes | None]) -> str | None:
        """The producer's trace id; one that cannot be read is no reason to refuse an event."""
        raw = raws[self._trace] if self._trace >= 0 else None
        try:
            trace = None if raw is None else values.text(raw, "trace")
        except RecordRefusedError:
            return None
        return trace if trace is None or len(trace) <= MAX_TRACE_CHARACTERS else None

    @staticmethod
    def _required(raws: list[bytes | None], slot: int, name: str) -> bytes:
        raw = raws[slot]
        if raw is None:
            raise RecordRefusedError("missing_field", f"{name}: is missing")
        return raw

    @staticmethod
    def _value(raw: bytes | None, field: Field, read: Reader) -> Scalar | None:
        if raw is not None and len(field.path) > 1:
            raw = nested(raw, field)
        if raw is not None:
            return read(raw)
        if field.optional:
            return None
        raise RecordRefusedError("missing_field", f"{field.name}: is missing")


def reader(field: Field) -> Reader:
    """What reads a field's value from its raw JSON text."""
    name, digits = field.name, field.digits
    match field.kind:
        case "decimal" | "int":
            return lambda raw: values.fixed(raw, name, digits)
        case "float":
            return lambda raw: values.floating(raw, name)
        case "bool":
            return lambda raw: values.boolean(raw, name)
        case "string":
            return lambda raw: values.text(raw, name)


def _record_type(keys: dict[str, int]) -> type[msgspec.Struct]:
    """A struct with one raw attribute a key: everything else in a record is skipped, not built."""
    names = {f"k{slot}": key for key, slot in keys.items()}
    members = [(name, Raw | UnsetType, UNSET) for name in names]
    return msgspec.defstruct("Record", members, rename=names, gc=False)


def _bytes_or_none(raw: Raw | UnsetType) -> bytes | None:
    if raw is UNSET:
        return None
    found = bytes(raw)
    return None if found == b"null" else found


_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def nested(raw: bytes, field: Field) -> bytes | None:
    """The raw value at the field's path, `raw` being that of the path's first key; None if it is missing."""
    found: bytes | None = raw
    for key in field.path[1:]:
        if found is None:
            return None
        try:
            inner = _OBJECT.decode(found)
        except (msgspec.DecodeError, RecursionError):
            raise RecordRefusedError("wrong_type", f"{field.name}: no object on the way to {key!r}") from None
        found = _bytes_or_none(inner.get(key, UNSET))
    return found


def _check_ahead(when_ms: int, arrival_ms: int, ahead_ms: int, name: str) -> None:
    if when_ms > arrival_ms + ahead_ms:
        raise RecordRefusedError("too_far_ahead", f"{name}: lies too far after the record's arrival")


def _refuse_malformed(data: bytes, error: Exception) -> NoReturn:
    """Tell NaN and Infinity, which many producers write, from text that is no JSON at all."""

    def not_finite(name: str) -> NoReturn:
        raise RecordRefusedError("not_finite", f"{name} is not JSON; leave the field out, or send null")

    with contextlib.suppress(ValueError, RecursionError):
        json.loads(data, parse_constant=not_finite)
    message = "the record is empty" if not data.strip() else f"not JSON: {str(error)[:80]}"
    raise RecordRefusedError("bad_json", message) from error
