"""The event half of a spec: [event] with its fields, and [entities]."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from stream_features.spec_model import DEFAULT_EXACT_EVENTS, Entity, EventSpec, Field
from stream_features.spec_source import Source, Table

MAX_DIGITS = 12
MAX_EXACT_EVENTS = 1024
FIELD_TYPE = r"^(decimal\((\d|1[0-2])\)|float|int|string|bool)(\?)?(?:\s*@\s*([^\s.@]+(?:\.[^\s.@]+)*))?$"
ENTITY_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
EVENT_KEYS = frozenset(
    {"id", "time", "label", "label_known_after", "trace", "keep", "max_age", "exact_events", "fields"}
)


@dataclass(frozen=True)
class Declared:
    """What features can refer to."""

    event: EventSpec
    entities: dict[str, Entity]
    fields: dict[str, Field]


def declared(source: Source) -> Declared:
    """[event] and [entities] of the file."""
    event = _event(source.table("event"))
    fields = {field.name: field for field in event.fields}
    entities = {entity.name: entity for entity in _entities(source.table("entities"), event, fields)}
    found = Declared(event, entities, fields)
    _fields_beside_keys(source.table("event"), found)
    return found


def _event(table: Table) -> EventSpec:
    table.known_keys(EVENT_KEYS)
    optional = {key: table.text(key) for key in ("label", "trace") if key in table.content}
    spans = {
        f"{key}_ms": table.duration(key, table.content[key])
        for key in ("label_known_after", "max_age")
        if key in table.content
    }
    if "label_known_after" in table.content and "label" not in table.content:
        table.refuse(
            "label_known_after says when labels become known: name the 'label' too", "label_known_after"
        )
    fields = _fields(table)
    event = EventSpec(
        id=table.text("id"),
        time=table.text("time"),
        label=optional.get("label"),
        trace=optional.get("trace"),
        keep=_keep(table, {field.name for field in fields}),
        fields=fields,
        exact_events=_exact_events(table),
        **spans,
    )
    _different_keys(table, event)
    return event


def _different_keys(table: Table, event: EventSpec) -> None:
    taken: dict[str, str] = {}
    for key, name in (("id", event.id), ("time", event.time), ("label", event.label), ("trace", event.trace)):
        if name in taken:
            table.refuse(f"{key!r} and {taken[name]!r} are both {name!r}: each needs a key of its own", key)
        if name is not None:
            taken[name] = key


def _exact_events(table: Table) -> int:
    number = table.content.get("exact_events", DEFAULT_EXACT_EVENTS)
    if type(number) is not int or not 1 <= number <= MAX_EXACT_EVENTS:
        table.refuse(
            f"exact_events must be a whole number from 1 to {MAX_EXACT_EVENTS:,}: of an entity, so many "
            "events are kept one by one",
            "exact_events",
        )
    return number


def _keep(table: Table, fields: set[str]) -> tuple[str, ...]:
    names = table.content.get("keep", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        table.refuse("'keep' must be a list of field names", "keep")
    for name in names:
        if name not in fields:
            known = ", ".join(sorted(fields)) or "none"
            table.refuse(f"keep: {name!r} is not declared in 'fields'; declared: {known}", "keep")
    if len(set(names)) != len(names):
        table.refuse("keep: a field is named twice", "keep")
    return tuple(names)


def _fields(table: Table) -> tuple[Field, ...]:
    types = table.content.get("fields", {})
    if not isinstance(types, dict):
        table.refuse("'fields' must be a table of name = type", "fields")
    return tuple(_field(table, name, kind) for name, kind in types.items())


def _field(table: Table, name: str, kind: object) -> Field:
    match = re.match(FIELD_TYPE, kind) if isinstance(kind, str) else None
    if not match or not name:
        _refuse_field(
            table,
            name,
            f"field {name!r}: {kind!r} is no type; use decimal(n) with n up to {MAX_DIGITS}, float, int, "
            f"string or bool, then '?' if it may be missing, then '@ path' if it is nested",
        )
    scale, path = match.group(2), match.group(4)
    return Field(
        name=name,
        kind="decimal" if scale is not None else match.group(1),  # type: ignore[arg-type]
        digits=int(scale or 0),
        optional=match.group(3) is not None,
        path=tuple(path.split(".")) if path else (name,),
    )


def _refuse_field(table: Table, name: str, message: str) -> NoReturn:
    """At the field's own line if fields are a table of their own, else at that of 'fields'."""
    if table.source.lines.of("event.fields", name) > 1:
        table.source.refuse(message, "event.fields", name)
    table.refuse(message, "fields")


def _entities(table: Table, event: EventSpec, fields: dict[str, Field]) -> Iterable[Entity]:
    taken = {event.id: "the event's id", event.time: "the time", event.label: "the label"}
    for name in table.content:
        entity = _entity(table, name)
        field = entity.field
        if not re.match(ENTITY_NAME, name):
            table.refuse(f"entity {name!r}: use letters, digits and '_', a letter first", name)
        if name in fields and name != field:
            table.refuse(f"entity {name!r} has the name of another field; rename one", name)
        if field in taken:
            table.refuse(f"entity {name!r}: {field!r} is {taken[field]} already; name another key", name)
        taken[field] = f"entity {name!r}"
        yield entity


def _entity(table: Table, name: str) -> Entity:
    """Written as `name = "key"`, or as `name = { field = "key", hash = true }`."""
    content = table.content[name]
    if not isinstance(content, dict):
        return Entity(name, table.text(name))
    for key in content:
        if key not in {"field", "hash"}:
            table.refuse(f"entity {name!r}: unknown key {key!r}; known here: field, hash", name)
    field, hashed = content.get("field"), content.get("hash", False)
    if not isinstance(field, str) or not field:
        table.refuse(f"entity {name!r}: 'field' must be a text that is not empty", name)
    if not isinstance(hashed, bool):
        table.refuse(f"entity {name!r}: 'hash' must be true or false", name)
    return Entity(name, field, hashed)


def _fields_beside_keys(table: Table, found: Declared) -> None:
    """A field may be an id as well, and then it is text; the time and the label are no fields."""
    event, texts = found.event, {found.event.id, *(entity.field for entity in found.entities.values())}
    for field in event.fields:
        if field.name in texts and field.kind != "string":
            _refuse_field(
                table, field.name, f"field {field.name!r} is an id: ids are text, declare it string"
            )
        for entity in found.entities.values():
            if entity.hash and field.path == (entity.field,):
                _refuse_field(
                    table,
                    field.name,
                    f"field {field.name!r} is the id of entity {entity.name!r}, of which hash = true keeps "
                    "only a hash: leave the field out",
                )
        if field.name in {event.time, event.label}:
            _refuse_field(table, field.name, f"field {field.name!r} is the time or the label: leave it out")
