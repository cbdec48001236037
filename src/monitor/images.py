"""What a batch of the decisions stream says happened: decisions made, labels learnt, labels corrected.

A decision counts when the new image has `scored_at` and the old has not; a label when the new image has both
and the old lacked one; a changed label is taken back as the old image had it and counted as the new one has
it. Anything else (a second path's score, an expiry, a label stub) is no news. Pure.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

NO_MODEL = "none"
"""Stands for the model version of decisions that no model made."""

Image = Mapping[str, Mapping[str, Any]]


class Seen(NamedTuple):
    """One decision as an image shows it; a score or latency that is not there is NaN."""

    model: str
    spec: str
    features: bytes
    score: float
    decision: str
    latency_ms: float
    label: bool | None


class News(NamedTuple):
    """What a batch adds and takes back."""

    decided: list[Seen]
    labelled: list[Seen]
    unlabelled: list[Seen]


def news(records: Iterable[Mapping[str, Any]]) -> News:
    """The news in stream records with NEW_AND_OLD_IMAGES, each counted by itself."""
    found = News([], [], [])
    for record in records:
        change = record["dynamodb"]
        new, old = change.get("NewImage", {}), change.get("OldImage", {})
        if "scored_at" not in new:
            continue
        seen = _seen(new)
        if "scored_at" not in old:
            found.decided.append(seen)
        before = _seen(old) if "scored_at" in old else None
        had = before.label if before else None
        if seen.label is not None and seen.label != had:
            found.labelled.append(seen)
            if before and had is not None:
                found.unlabelled.append(before)
    return found


def _seen(image: Image) -> Seen:
    label = image.get("label")
    return Seen(
        model=_text(image, "model") or NO_MODEL,
        spec=_text(image, "spec"),
        features=_bytes(image.get("features", {})),
        score=_number(image, "score"),
        decision=_text(image, "decision"),
        latency_ms=_number(image, "latency_ms"),
        label=bool(label["BOOL"]) if label else None,
    )


def _text(image: Image, name: str) -> str:
    return str(image.get(name, {}).get("S", ""))


def _number(image: Image, name: str) -> float:
    return float(image.get(name, {}).get("N", math.nan))


def _bytes(value: Mapping[str, Any]) -> bytes:
    """A stream event carries base64 text, a table read carries bytes."""
    content = value.get("B", b"")
    return base64.b64decode(content) if isinstance(content, str) else bytes(content)
