"""The API as OpenAPI 3.1, from the types of the spec it serves. Pure."""

from collections.abc import Mapping
from typing import Any

from scoring import event_schema
from scoring.event_schema import Schema
from scoring.problems import KINDS, MEDIA_TYPE, URN
from stream_features.spec import Spec

_ABOUT = """Decisions about events of this spec, at once.

Requests are signed (AWS Signature Version 4, service `execute-api`). The gateway itself answers unsigned ones
with 403, too many with 429, and those that the function leaves unanswered with 500 or 503, without a problem
document. A problem's `type` is one of: {kinds}."""
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_TEXT: Schema = {"type": "string"}
_DECISION: Schema = {"enum": ["approve", "review", "block"]}
_SOURCE: Schema = {"enum": ["stream", "api"], "description": "The path on which it was decided."}
_ANYTIME = {
    "404": "Nothing there",
    "405": "The path takes another method: see the header `allow`",
    "503": "A table or the stream is throttled: come back after the seconds of the header `retry-after`",
}
_ON_BODIES = {
    "400": "The body is not JSON",
    "413": "The body, or the number of events, is too large",
    "422": "The body is JSON and does not fit: `field` says where, `reason` why",
}


def document(spec: Spec, most_events: int) -> dict[str, Any]:
    """The description of the API that serves `spec`."""
    kinds = ", ".join(f"`{URN}{kind}` ({told.status})" for kind, told in KINDS.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "streamscore",
            "version": spec.sha256[:16],
            "description": _ABOUT.format(kinds=kinds),
        },
        "servers": [{"url": "."}],
        "security": [{"signature": []}],
        "paths": _paths(),
        "components": {"schemas": _schemas(spec, most_events), "securitySchemes": {"signature": _SIGNATURE}},
    }


_SIGNATURE = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "x-amazon-apigateway-authtype": "awsSigv4",
}


_TRACE: dict[str, Any] = {
    "traceparent": {
        "description": "The request's trace: the one it came with, or AWS's",
        "schema": {"type": "string"},
    },
    "x-amzn-trace-id": {"description": "The same in X-Ray's form", "schema": {"type": "string"}},
}


def _paths() -> dict[str, Any]:
    reused = {"409": "The id was decided about with another body"}
    by_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    by_query = {**by_id, "in": "query"}
    read = {"200": ("What was decided", "Decision")}
    return {
        "/predict": {
            "post": _operation("predict", "Decide about an event, or a ready vector", "Question")
            | _responses({"200": ("The decision that stands", "Answer")}, _ON_BODIES | reused)
        },
        "/batch-predict": {
            "post": _operation("batchPredict", "Decide about many, each by itself", "Questions")
            | _responses({"200": ("A decision or a problem each", "Answers")}, _ON_BODIES)
        },
        "/events": {
            "post": _operation("putEvent", "Put an event, or a label, on the stream", "Record")
            | _responses({"202": ("It is on the stream", "Put")}, _ON_BODIES)
        },
        "/decisions/{id}": {
            "get": _operation("decision", "What was decided about an id without ? # or %")
            | {"parameters": [by_id]}
            | _responses(read, {})
        },
        "/decisions": {
            "get": _operation("decisionOf", "What was decided about any id")
            | {"parameters": [by_query]}
            | _responses(read, {})
        },
        "/health": {
            "get": _operation("health", "What would decide now")
            | _responses({"200": ("It answers", "Health")}, {})
        },
        "/openapi.json": {
            "get": _operation("openapi", "This description")
            | _responses({"200": ("OpenAPI 3.1", "Document")}, {})
        },
    }


def _operation(name: str, summary: str, body: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": name, "summary": summary}
    return told | ({"requestBody": {"required": True, "content": _json(body)}} if body else {})


def _responses(good: Mapping[str, tuple[str, str]], problems: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        status: {"description": told, "content": _json(schema)} for status, (told, schema) in good.items()
    }
    for status, told in (_ANYTIME | problems).items():
        found[status] = {"description": told, "content": _json("Problem", MEDIA_TYPE)}
    for response in found.values():
        response["headers"] = _TRACE
    found["405"]["headers"] = _TRACE | {"allow": {"schema": _TEXT, "required": True}}
    found["503"]["headers"] = _TRACE | {"retry-after": {"schema": {"type": "integer"}, "required": True}}
    return {"responses": dict(sorted(found.items()))}


def _json(schema: str, media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": _ref(schema)}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(spec: Spec, most_events: int) -> dict[str, Schema]:
    records = [_ref("Event"), *([_ref("Label")] if spec.event.label else [])]
    return {
        "Event": event_schema.event(spec),
        **({"Label": event_schema.label(spec)} if spec.event.label else {}),
        "Record": {"anyOf": records},
        "Vector": _object({"features": event_schema.features(spec)}) | {"additionalProperties": False},
        "Question": {"anyOf": [_ref("Event"), _ref("Vector")]},
        "Questions": _questions(most_events),
        "Answer": _answer(spec),
        "Answers": _object({"results": _list({"anyOf": [_ref("Result"), _ref("Failure")]})}),
        "Result": {"allOf": [_object({"index": {"type": "integer"}}), _ref("Answer")]},
        "Failure": _object({"index": {"type": "integer"}, "error": _ref("Problem")}),
        "Decision": _stored(),
        "Put": _object({"id": _TEXT, "shard": _TEXT, "sequence": _TEXT}),
        "Health": _health(),
        "Document": _object({"openapi": _TEXT, "info": {"type": "object"}, "paths": {"type": "object"}}),
        "Problem": _problem(),
    }


def _questions(most_events: int) -> Schema:
    found = _object({"events": _list(_ref("Question")) | {"maxItems": most_events}})
    told = "Whether the answers name the features they rest on."
    found["properties"]["features"] = {"type": "boolean", "default": False, "description": told}
    return found


def _answer(spec: Spec) -> Schema:
    reason = {"anyOf": [_TEXT, _object({"feature": _TEXT, "contribution": _NUMBER})]}
    told = {
        "confidence": "How probable the model holds it that the decision takes the event for what it is: "
        "the score of a review or block, 1 - score of an approval.",
        "reasons": "The features that raise the score most, in log-odds; of a decision without a score, why.",
    }
    found = _object(
        {
            "id": {"type": ["string", "null"]},
            "decision": _DECISION,
            "score": _SHARE,
            "confidence": {**_SHARE, "description": told["confidence"]},
            "reasons": _list(reason) | {"description": told["reasons"]},
            "rules": _list(_TEXT),
            "model": {"type": ["string", "null"]},
            "policy": _TEXT,
            "source": _SOURCE,
            "time": {"type": "string", "format": "date-time"},
        }
    )
    values = {name: {"type": ["number", "null"]} for name in spec.feature_names}
    found["properties"]["features"] = {"type": "object", "properties": values}
    return found


def _stored() -> Schema:
    """What every stored decision has; more is told as it is known."""
    whole: Schema = {"type": "integer"}
    found = _object(
        {"id": _TEXT, "decision": _DECISION, "source": _SOURCE, "policy": _TEXT, "scored_at": whole}
    )
    optional = {"score": _SHARE, "model": _TEXT, "label": {"type": "boolean"}, "label_time": whole}
    found["properties"] |= {**optional, "second_path_score": _SHARE}
    return found


def _health() -> Schema:
    told = "Why there is no model, if there is none: the policy's fallback decides then."
    return _object(
        {
            "status": {"const": "ok"},
            "model": {"type": ["string", "null"]},
            "absent": {**_TEXT, "description": told},
            "challenger": {"type": ["string", "null"]},
            "policy": _TEXT,
            "spec": _TEXT,
        }
    )


def _problem() -> Schema:
    kinds = {"enum": [URN + kind for kind in KINDS]}
    found = _object({"type": kinds, "title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT})
    found["properties"] |= {"reason": _TEXT, "field": _TEXT}
    return found


def _object(members: Mapping[str, Schema]) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "properties": dict(members), "required": list(members)}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}
