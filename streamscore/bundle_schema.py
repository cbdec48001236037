"""The JSON Schema of bundle.json, for other tools, from the type that it is read by."""

import json
from typing import Any

import msgspec

from scoring.bundle import Bundle


def schema() -> dict[str, Any]:
    """The schema, draft 2020-12: what `scoring.bundle.decode` takes; it checks the hashes besides."""
    made = msgspec.json.schema(Bundle)
    whole = made["$defs"]["Bundle"]
    del whole["properties"]["version"]["default"]
    whole["required"] = ["format", "version", *whole["required"]]
    title = {"title": "bundle.json: what a model is, beside model.onnx"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **title, **made}


def to_json() -> str:
    """The text of schemas/bundle.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
