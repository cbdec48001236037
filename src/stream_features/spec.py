"""Reads `features.toml` into a `Spec`; what cannot be computed right is refused with line and remedy."""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from common.errors import InvalidInputError
from stream_features.ops import NOT_YET, OPS, Op
from stream_features.spec_lines import Lines
from stream_features.spec_model import (
    Entity,
    EventSpec,
    Feature,
    Field,
    Scalar,
    Spec,
    from_json,
    horizon_ms,
    retention_ms,
    to_json,
)

__all__ = [
    "Entity",
    "EventSpec",
    "Feature",
    "Field",
    "Scalar",
    "Spec",
    "duration_ms",
    "from_json",
    "horizon_ms",
    "parse",
    "retention_ms",
    "to_json",
]

MAX_WINDOW_MS = 90 * 86_400_000
MAX_DIGITS = 12
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FIELD = re.compile(r"^(decimal\((\d{1,2})\)|float|int|string|bool)(\?)?(?:\s*@\s*(\S+))?$")
_ENTITY_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
_FEATURE_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")
_EVENT_KEYS = {"id", "time", "label", "label_known_after", "trace", "keep", "max_age", "fields"}
_FEATURE_KEYS = {"name", "op", "of", "default"}


def duration_ms(text: object) -> int:
    """Milliseconds of a duration such as "30s", "15m", "1h" or "7d"; ValueError for anything else or zero."""
    match = re.match(r"^([1-9]\d{0,8})([smhd])$", text) if isinstance(text, str) else None
    if not match:
        raise ValueError(
            f'{text!r} is no duration; write a whole number and a unit: "30s", "15m", "1h", "7d"'
        )
    return int(match.group(1)) * _UNIT_MS[match.group(2)]


def parse(text: str, source: str = "features.toml") -> Spec:
    """The spec written in `text`; InvalidInputError names the source's line, the key and the remedy."""
    return _Parser(text, source).spec()


class _Parser:
    """Walks the TOML once; every refusal goes through `_refuse`, so that it carries a line."""

    def __init__(self, text: str, source: str) -> None:
        self.source, self.lines = source, Lines(text)
        try:
            self.toml = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidInputError(f"{source}: not valid TOML: {error}") from error
        self.fields: dict[str, Field] = {}
        self.entities: dict[str, Entity] = {}

    def spec(self) -> Spec:
        self._known_keys(self.toml, {"event", "entities", "feature"}, "")
        event = self._event(self._table("event"))
        self.entities = {entity.name: entity for entity in self._entities(self._table("entities"))}
        self._fields_beside_keys(event)
        blocks = self.toml.get("feature")
        if not isinstance(blocks, list) or not blocks:
            self._refuse("no [[feature]] is declared; a spec needs at least one", "feature")
        features = tuple(f for i, block in enumerate(blocks) for f in self._block(event, block, i))
        self._unique_names(event, features)
        return Spec(event=event, entities=tuple(self.entities.values()), features=features)

    def _refuse(self, message: str, table: str, key: str = "", ordinal: int = 0) -> NoReturn:
        raise InvalidInputError(f"{self.source}:{self.lines.of(table, key, ordinal)}: {message}")

    def _table(self, name: str) -> dict[str, Any]:
        table = self.toml.get(name)
        if not isinstance(table, dict) or not table:
            self._refuse(f"the table [{name}] is missing or empty", name)
        return table

    def _known_keys(
        self, table: Mapping[str, Any], known: Iterable[str], name: str, ordinal: int = 0
    ) -> None:
        for key in table:
            if key not in set(known):
                message = f"unknown key {key!r}; known here: {', '.join(sorted(known))}"
                self._refuse(message, name or key, key if name else "", ordinal)

    def _text(self, table: Mapping[str, Any], key: str, name: str, ordinal: int = 0) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            self._refuse(f"{key!r} must be a text that is not empty", name, key, ordinal)
        return value

    def _duration(self, value: object, name: str, key: str, ordinal: int = 0) -> int:
        try:
            return duration_ms(value)
        except ValueError as error:
            self._refuse(f"{key}: {error}", name, key, ordinal)

    def _event(self, table: dict[str, Any]) -> EventSpec:
        self._known_keys(table, _EVENT_KEYS, "event")
        optional = {key: self._text(table, key, "event") for key in ("label", "trace") if key in table}
        spans = {
            f"{key}_ms": self._duration(table[key], "event", key)
            for key in ("label_known_after", "max_age")
            if key in table
        }
        declared = table.get("fields", {})
        if not isinstance(declared, dict):
            self._refuse("'fields' must be a table of name = type", "event", "fields")
        self.fields = {name: self._field(name, kind) for name, kind in declared.items()}
        return EventSpec(
            id=self._text(table, "id", "event"),
            time=self._text(table, "time", "event"),
            label=optional.get("label"),
            trace=optional.get("trace"),
            keep=self._keep(table.get("keep", [])),
            fields=tuple(self.fields.values()),
            **spans,
        )

    def _fields_beside_keys(self, event: EventSpec) -> None:
        """A field may be an id as well, and then it is text; the time and the label are no fields."""
        texts = {event.id, *(entity.field for entity in self.entities.values())}
        for field in self.fields.values():
            if field.name in texts and field.kind != "string":
                self._refuse(
                    f"field {field.name!r} is an id: ids are text, declare it string", "event", "fields"
                )
            if field.name in {event.time, event.label}:
                self._refuse(
                    f"field {field.name!r} is the time or the label: leave it out", "event", "fields"
                )

    def _keep(self, names: object) -> tuple[str, ...]:
        if not isinstance(names, list):
            self._refuse("'keep' must be a list of field names", "event", "keep")
        for name in names:
            if name not in self.fields:
                self._refuse(f"keep: {name!r} is not declared in 'fields'", "event", "keep")
        if len(set(names)) != len(names):
            self._refuse("keep: a field is named twice", "event", "keep")
        return tuple(names)

    def _field(self, name: str, kind: object) -> Field:
        match = _FIELD.match(kind) if isinstance(kind, str) else None
        if not match or int(match.group(2) or 0) > MAX_DIGITS:
            self._refuse(
                f"field {name!r}: {kind!r} is no type; use decimal(n) with n up to {MAX_DIGITS}, float, int, "
                f"string or bool, then '?' if it may be missing, then '@ path' if it is nested",
                "event.fields" if self.lines.of("event.fields", name) > 1 else "event",
                name if self.lines.of("event.fields", name) > 1 else "fields",
            )
        base = "decimal" if match.group(2) is not None else match.group(1)
        return Field(
            name=name,
            kind=base,  # type: ignore[arg-type]
            digits=int(match.group(2) or 0),
            optional=match.group(3) is not None,
            path=tuple((match.group(4) or name).split(".")) if match.group(4) else (name,),
        )

    def _entities(self, table: dict[str, Any]) -> Iterable[Entity]:
        for name in table:
            field = self._text(table, name, "entities")
            if not _ENTITY_NAME.match(name):
                self._refuse(f"entity {name!r}: use letters, digits and '_'", "entities", name)
            if name in self.fields and name != field:
                self._refuse(f"entity {name!r} has the name of another field; rename one", "entities", name)
            yield Entity(name=name, field=field)

    def _block(self, event: EventSpec, block: object, ordinal: int) -> Iterable[Feature]:
        if not isinstance(block, dict):
            self._refuse("[[feature]] must be a table", "feature", "", ordinal)
        name = self._text(block, "name", "feature", ordinal)
        op = self._op(self._text(block, "op", "feature", ordinal), name, ordinal)
        known = {*_FEATURE_KEYS, *op.needs, *op.takes} - (set() if op.of else {"of"})
        self._known_keys(block, known, "feature", ordinal)
        for key in sorted(op.needs | ({"of"} if op.of else set())):
            if key not in block:
                self._refuse(f"feature {name!r}: op {block['op']!r} needs {key!r}", "feature", "", ordinal)
        if op.labels and event.label is None:
            self._refuse(
                f"feature {name!r} counts labels, but [event] names no 'label'", "feature", "op", ordinal
            )
        for window, window_ms in self._windows(block, name, ordinal):
            yield self._feature(block, op, name.replace("{window}", window), window_ms, ordinal)

    def _op(self, name: str, feature: str, ordinal: int) -> Op:
        if name in OPS:
            return OPS[name]
        known = ", ".join(sorted(OPS))
        state = "is not computed by this version" if name in NOT_YET else "is unknown"
        self._refuse(
            f"feature {feature!r}: op {name!r} {state}; use one of {known}", "feature", "op", ordinal
        )

    def _windows(self, block: dict[str, Any], name: str, ordinal: int) -> list[tuple[str, int]]:
        if "windows" not in block:
            return [("", 0)]
        windows = block["windows"]
        if not isinstance(windows, list) or not windows:
            self._refuse('\'windows\' must be a list such as ["1d", "7d"]', "feature", "windows", ordinal)
        if len(windows) > 1 and "{window}" not in name:
            self._refuse(
                f"feature {name!r} has several windows: put {{window}} in its name",
                "feature",
                "name",
                ordinal,
            )
        spans = [(str(w), self._duration(w, "feature", "windows", ordinal)) for w in windows]
        for window, window_ms in spans:
            if window_ms > MAX_WINDOW_MS:
                self._refuse(f"windows: {window} is longer than 90 days", "feature", "windows", ordinal)
        return spans

    def _feature(self, block: dict[str, Any], op: Op, name: str, window_ms: int, ordinal: int) -> Feature:
        if not _FEATURE_NAME.match(name):
            self._refuse(
                f"feature name {name!r}: use letters, digits, '_', '.', '-'", "feature", "name", ordinal
            )
        feature = Feature(
            name=name,
            op=block["op"],
            hash="",
            entity=self._entity(block, name, ordinal),
            of=self._of(block, op, name, ordinal),
            window_ms=window_ms,
            delay_ms=self._delay(block, ordinal),
            default=self._default(block, ordinal),
            hours=self._hours(block, ordinal),
        )
        return msgspec.structs.replace(feature, hash=self._definition_hash(feature))

    def _entity(self, block: dict[str, Any], name: str, ordinal: int) -> str | None:
        entity = block.get("entity")
        if entity is not None and entity not in self.entities:
            known = ", ".join(self.entities)
            self._refuse(
                f"feature {name!r}: no entity {entity!r}; known: {known}", "feature", "entity", ordinal
            )
        return entity

    def _of(self, block: dict[str, Any], op: Op, name: str, ordinal: int) -> str | None:
        if not op.of:
            return None
        of = block["of"]
        field = self.fields.get(of) if isinstance(of, str) else None
        if field is None:
            known = ", ".join(self.fields) or "none"
            self._refuse(f"feature {name!r}: no field {of!r}; declared: {known}", "feature", "of", ordinal)
        if field.kind == "string":
            self._refuse(
                f"feature {name!r}: {of!r} is a string, {block['op']} takes a number",
                "feature",
                "of",
                ordinal,
            )
        if op.of == "exact" and field.kind == "float":
            self._refuse(
                f"feature {name!r}: {block['op']} is exact and {of!r} is a float; declare it decimal(n)",
                "feature",
                "of",
                ordinal,
            )
        return field.name

    def _delay(self, block: dict[str, Any], ordinal: int) -> int:
        delay_ms = self._duration(block["delay"], "feature", "delay", ordinal) if "delay" in block else 0
        if delay_ms > MAX_WINDOW_MS:
            self._refuse("delay: longer than 90 days", "feature", "delay", ordinal)
        return delay_ms

    def _default(self, block: dict[str, Any], ordinal: int) -> float | None:
        default = block.get("default")
        if default is None:
            return None
        if isinstance(default, bool) or not isinstance(default, int | float) or not abs(default) <= 2**53:
            self._refuse("'default' must be a number within ±2^53", "feature", "default", ordinal)
        return float(default)

    def _hours(self, block: dict[str, Any], ordinal: int) -> tuple[int, int] | None:
        if "hours" not in block:
            return None
        hours = block["hours"]
        whole = isinstance(hours, list) and [type(h) for h in hours] == [int, int]
        if not whole or not all(0 <= h <= 23 for h in hours):
            self._refuse(
                "'hours' must be two whole hours, 0 to 23, both included", "feature", "hours", ordinal
            )
        return (hours[0], hours[1])

    def _definition_hash(self, feature: Feature) -> str:
        """Of all that decides the numbers, and not of the name: 16 hex digits."""
        entity = self.entities[feature.entity].field if feature.entity else None
        of = self.fields[feature.of] if feature.of else None
        anonymous = msgspec.structs.replace(feature, name="", entity=entity)
        encoded = msgspec.json.encode([anonymous, of], order="deterministic")
        return hashlib.sha256(encoded).hexdigest()[:16]

    def _unique_names(self, event: EventSpec, features: tuple[Feature, ...]) -> None:
        taken = {
            event.id: "the id",
            event.time: "the time",
            **{e.field: "an entity" for e in self.entities.values()},
        }
        if event.label:
            taken[event.label] = "the label"
        for feature in features:
            if feature.name in taken:
                self._refuse(f"feature {feature.name!r} has the name of {taken[feature.name]}", "feature")
            taken[feature.name] = "another feature"
