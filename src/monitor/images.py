"""What a batch of the decisions stream says happened: decisions made, labels learnt, labels corrected.

A decision counts when the new image has `scored_at` and the old has not; a label when the new image has both
and the old lacked one; a changed label is taken back as the old image had it and counted as the new one has
it. Anything else (a second path's score, an expiry, a label stub) is no news. Pure.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

NO_MODEL = "none"
"""Stands for the model version of decisions that no model made."""

Image = Mapping[str, Mapping[str, Any]]


class Seen(NamedTuple):
    """One decision as an image shows it; a score, latency or amount that is not there is NaN.

    `day` is the UTC day on which it was decided. For a challenger, `score` is what it would have said, and
    `decision` is empty: it made none.
    """

    model: str
    challenger: bool
    spec: str
    features: bytes
    score: float
    decision: str
    latency_ms: float
    day: str
    label: bool | None
    amount: float


class News(NamedTuple):
    """What a batch adds and takes back."""

    decided: list[Seen]
    labelled: list[Seen]
    unlabelled: list[Seen]


def news(records: Iterable[Mapping[str, Any]], amount: str | None = None) -> News:
    """The news in stream records with NEW_AND_OLD_IMAGES, each counted by itself: for the model that decided,
    and for the challenger that scored beside it. `amount` is the kept field that is money.
    """
    found = News([], [], [])
    for record in records:
        change = record["dynamodb"]
        new, old = change.get("NewImage", {}), change.get("OldImage", {})
        if "scored_at" not in new:
            continue
        seen, label = _seen(new, amount), _label(new)
        if "scored_at" not in old:
            found.decided.extend(seen)
        had = _label(old) if "scored_at" in old else None
        if label is not None and label != had:
            found.labelled.extend(seen)
            if had is not None:
                found.unlabelled.extend(_seen(old, amount))
    return found


def _seen(image: Image, amount: str | None) -> list[Seen]:
    champion = Seen(
        model=_text(image, "model") or NO_MODEL,
        challenger=False,
        spec=_text(image, "spec"),
        features=_bytes(image.get("features", {})),
        score=_number(image, "score"),
        decision=_text(image, "decision"),
        latency_ms=_number(image, "latency_ms"),
        day=_day(_number(image, "scored_at")),
        label=_label(image),
        amount=_number(image.get("kept", {}).get("M", {}), amount) if amount else math.nan,
    )
    beside = image.get("challenger", {}).get("M")
    if not beside:
        return [champion]
    challenger = champion._replace(
        model=_text(beside, "model"),
        challenger=True,
        score=_number(beside, "score"),
        decision="",
        latency_ms=math.nan,
    )
    return [champion, challenger]


def _label(image: Image) -> bool | None:
    label = image.get("label")
    return bool(label["BOOL"]) if label else None


def _day(epoch_ms: float) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, tz=UTC).strftime("%Y-%m-%d")


def _text(image: Image, name: str) -> str:
    return str(image.get(name, {}).get("S", ""))


def _number(image: Image, name: str) -> float:
    return float(image.get(name, {}).get("N", math.nan))


def _bytes(value: Mapping[str, Any]) -> bytes:
    """A stream event carries base64 text, a table read carries bytes."""
    content = value.get("B", b"")
    return base64.b64decode(content) if isinstance(content, str) else bytes(content)
