"""The JSON Schema of features.toml, for editors (taplo and others), from the catalogue of ops."""

import json
from typing import Any

from stream_features.ops import OPS
from stream_features.spec_event import ENTITY_NAME, FIELD_TYPE, MAX_EXACT_EVENTS
from stream_features.spec_feature import MAX_LISTED
from stream_features.spec_reason import MOST_CHARACTERS, PATTERN

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_DURATION: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhd]$"}
_SCALAR: Schema = {"type": ["string", "number", "boolean"]}

EVENT: dict[str, Schema] = {
    "id": _TEXT | {"description": "The key of the event's id: a text or an integer, unique."},
    "time": _TEXT
    | {"description": "The key of the event's time: RFC 3339, or epoch seconds or milliseconds."},
    "label": _TEXT | {"description": "The key that says, later, whether the event was bad."},
    "label_known_after": _DURATION
    | {"description": "In a file, labels are known this long after their events."},
    "trace": _TEXT | {"description": "The key of the producer's trace id."},
    "keep": {
        "type": "array",
        "items": _TEXT,
        "uniqueItems": True,
        "description": "Fields that travel to the decision: for rules, backtests, cases.",
    },
    "max_age": _DURATION | {"description": "Records that are older, or further ahead, are quarantined."},
    "exact_events": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_EXACT_EVENTS,
        "default": 128,
        "description": "So many of its newest events an entity keeps one by one; older ones lie in tiles.",
    },
    "fields": {
        "type": "object",
        "additionalProperties": {"type": "string", "pattern": FIELD_TYPE},
        "description": "decimal(n), float, int, string or bool; '?' if it may be missing; '@ path'.",
    },
}

ENTITY: dict[str, Schema] = {
    "field": _TEXT | {"description": "The key of its id."},
    "hash": {
        "type": "boolean",
        "default": False,
        "description": "Whether only the keyed hash of its id is kept, anywhere.",
    },
}

FEATURE: dict[str, Schema] = {
    "name": _TEXT | {"description": "The column's name; {window} stands for each of `windows`."},
    "op": {"enum": list(OPS), "description": "What is computed."},
    "of": _TEXT | {"description": "The field it reads; another entity; or, for derived features, a feature."},
    "entity": _TEXT | {"description": "Whose events are looked at: a name of [entities]."},
    "windows": {
        "type": "array",
        "items": _DURATION,
        "minItems": 1,
        "description": "One feature for each: (t - window, t], at most 90d.",
    },
    "delay": _DURATION | {"description": "The window is (t - delay - window, t - delay]."},
    "where": {
        "type": "object",
        "additionalProperties": _SCALAR,
        "minProperties": 1,
        "description": "Only events whose fields have these values count.",
    },
    "half_life": _DURATION | {"description": "An event that is this old weighs half; at most 90d."},
    "hours": {
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 23},
        "minItems": 2,
        "maxItems": 2,
        "description": "The first and the last hour, both included; [22, 5] goes over midnight.",
    },
    "values": {
        "type": "array",
        "items": _SCALAR,
        "minItems": 1,
        "maxItems": MAX_LISTED,
        "uniqueItems": True,
        "description": "The values for which it is 1.",
    },
    "timezone": _TEXT | {"description": "An IANA zone such as Europe/Paris; UTC if it is left out."},
    "to": _TEXT | {"description": "The feature that `of` is divided by, or compared with."},
    "std": _TEXT | {"description": "The feature that the difference is divided by."},
    "default": {
        "type": "number",
        "description": "What stands for a missing value; NaN if left out.",
    },
    "reason": {
        "type": "string",
        "pattern": PATTERN,
        "maxLength": MOST_CHARACTERS,
        "description": "How it is told as a reason: text with {value}, {median}, {name}, {contribution}.",
    },
}


def schema() -> Schema:
    """The schema, draft 7."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "features.toml: what streamscore computes of each event",
        "type": "object",
        "required": ["event", "entities", "feature"],
        "additionalProperties": False,
        "properties": {
            "event": _table(EVENT, ["id", "time"]),
            "entities": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": ENTITY_NAME},
                "additionalProperties": {"anyOf": [_TEXT, _table(ENTITY, ["field"])]},
                "description": "name = key of its id; the first is the stream's partition key.",
            },
            "feature": {
                "type": "array",
                "minItems": 1,
                "items": _table(FEATURE, ["name", "op"]) | {"allOf": [_of_op(name) for name in OPS]},
            },
        },
    }


def to_json() -> str:
    """The text of schemas/features.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _table(keys: dict[str, Schema], required: list[str]) -> Schema:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": keys}


def _of_op(name: str) -> Schema:
    """Which keys a block with this op needs, and which have no place in it."""
    needs, unknown = sorted(OPS[name].needs), sorted(FEATURE.keys() - OPS[name].keys)
    return {
        "if": {"required": ["op"], "properties": {"op": {"const": name}}},
        "then": {"required": needs, "properties": dict.fromkeys(unknown, False)},
    }
