"""JSON Schema (2020-12) of what the API is sent, from the types of a spec. Pure.

It says what the decoder holds to and JSON Schema can say. Decimals carry `x-decimals`, not `multipleOf`:
validators divide floats, and would refuse 0.07 as no multiple of 0.01.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stream_features.spec import Field, Spec
from stream_features.values import LIMIT, MAX_TEXT_BYTES

Schema = dict[str, Any]
Member = tuple[Sequence[str], Schema, bool]
"""A path into the body, what lies there, and whether it must be there."""

_LARGEST = float(np.finfo(np.float32).max)


def event(spec: Spec) -> Schema:
    """An event of the spec; members that the spec does not name are ignored."""
    no_label: Schema = {"not": {"const": "label"}, "description": "Anything but `label`."}
    fields: list[Member] = [
        (field.path, _orelse_null(_value(field)) if field.optional else _value(field), not field.optional)
        for field in spec.event.fields
    ]
    found = _object([*_identity(spec), *fields, (("type",), no_label, False)])
    if spec.event.trace:
        trace = {"description": "The producer's trace id: a W3C traceparent, or any text of 128 characters."}
        found["properties"].setdefault(spec.event.trace, trace)
    return found


def label(spec: Spec) -> Schema:
    """What an event of the spec turned out to be."""
    kind: Schema = {"const": "label"}
    answer: Schema = {"enum": [True, False, 1, 0]}
    when = _time("When that became known.")
    members: list[Member] = [(("type",), kind, True), (("label_time",), when, True)]
    named: list[Member] = [((spec.event.label,), answer, True)] if spec.event.label else []
    return _object([*_identity(spec), *members, *named])


def features(spec: Spec) -> Schema:
    """A ready vector: every feature of the spec and no other, null where it is not known."""
    number: Schema = {"type": ["number", "null"], "minimum": -_LARGEST, "maximum": _LARGEST}
    return {
        "type": "object",
        "properties": {name: number for name in spec.feature_names},
        "required": list(spec.feature_names),
        "additionalProperties": False,
    }


def _identity(spec: Spec) -> list[Member]:
    entities = [((entity.field,), _identifier(f"The {entity.name}."), True) for entity in spec.entities]
    when = _time("When it happened.")
    return [
        ((spec.event.id,), _identifier("The event's id."), True),
        ((spec.event.time,), when, True),
        *entities,
    ]


def _identifier(what: str) -> Schema:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_BYTES}
    told = f"{what} An integer is taken as the text it is written as; at most {MAX_TEXT_BYTES} bytes."
    return {"description": told, "anyOf": [text, {"type": "integer"}]}


def _time(what: str) -> Schema:
    text = {"type": "string", "format": "date-time"}
    told = f"{what} RFC 3339 (no zone means UTC), or seconds or milliseconds since 1970."
    return {"description": told, "anyOf": [text, {"type": "number", "minimum": 0, "maximum": LIMIT}]}


def _value(field: Field) -> Schema:
    match field.kind:
        case "decimal":
            most = LIMIT / 10**field.digits
            told = f"A number with at most {field.digits} decimals."
            return {"type": "number", "minimum": -most, "maximum": most, "x-decimals": field.digits} | {
                "description": told
            }
        case "int":
            return {"type": "integer", "minimum": -LIMIT, "maximum": LIMIT}
        case "float":
            return {"type": "number", "minimum": -LIMIT - 1, "maximum": LIMIT + 1}  # as float64, the same
        case "bool":
            return {"type": "boolean"}
        case "string":
            return {"type": "string", "maxLength": MAX_TEXT_BYTES}


def _object(members: Iterable[Member]) -> Schema:
    """An object with members at paths; a path's first key may hold several, which then all hold."""
    by_key: dict[str, list[Member]] = {}
    for path, schema, required in members:
        by_key.setdefault(path[0], []).append((path[1:], schema, required))
    properties = {key: _merged(there) for key, there in by_key.items()}
    needed = [key for key, there in by_key.items() if any(required for _, _, required in there)]
    return {"type": "object", "properties": properties, "required": needed}


def _merged(members: Sequence[Member]) -> Schema:
    """What one key holds: the members that end there, and an object of those that go on."""
    schemas = [schema for path, schema, _ in members if not path]
    inner = [member for member in members if member[0]]
    if inner:
        found = _object(inner)
        schemas.append(found if found["required"] else _orelse_null(found))
    return schemas[0] if len(schemas) == 1 else {"allOf": schemas}


def _orelse_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}
