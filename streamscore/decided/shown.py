"""A decision's item as plain data with the names that the spec of its sha gives: for people and for JSON."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

from common import traceparent
from scoring.plain import plain
from stream_features.spec_model import Spec

_WITHHELD = frozenset({"pk", "ttl", "features", "kept", "request"})


def shown(item: Mapping[str, Any], spec: Spec | None) -> dict[str, Any]:
    """What is known of an event: attributes by name, times in epoch ms.

    `kept`: the fields as they were written, decimals with all their digits. `features`: values by name, None
    where missing; without the spec of the vector there are none, and `feature_count` says how many it has.
    """
    known = {name: plain(value) for name, value in item.items() if name not in _WITHHELD}
    found: dict[str, Any] = {"id": item["pk"]["S"], **known}
    if spec is not None:
        found["primary"] = spec.entities[0].name
    if "kept" in item:
        found["kept"] = {name: _kept(spec, name, value) for name, value in item["kept"]["M"].items()}
    if "features" in item:
        found |= _features(bytes(item["features"]["B"]), spec)
    trace = traceparent.trace_id(found.get("trace"))
    return found | ({"xray_trace_id": traceparent.xray_id(trace)} if trace else {})


def to_json(found: Mapping[str, Any]) -> str:
    """As one line; decimals are numbers with all their digits."""
    return _encoder.encode(found).decode()


_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")


def _kept(spec: Spec | None, name: str, value: Mapping[str, Any]) -> Any:
    """The table drops zeros at a number's end; the spec knows how many digits there were."""
    field = spec.fields.get(name) if spec else None
    if field is None or not field.digits or "N" not in value:
        return plain(dict(value))
    return Decimal(value["N"]).quantize(Decimal(1).scaleb(-field.digits))


def _features(data: bytes, spec: Spec | None) -> dict[str, Any]:
    vector = np.frombuffer(data, "<f4")
    if spec is None or len(vector) != len(spec.feature_names):
        return {"feature_count": len(vector)}
    values = [None if np.isnan(value) else float(str(value)) for value in vector]
    return {"features": dict(zip(spec.feature_names, values, strict=True))}
