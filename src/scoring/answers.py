"""The answer to a question, made from the item of the decision: a stored one and a new one read the same.

`confidence` is how probable the model holds it that the decision takes the event for what it is: the score of
a review or block, 1 - score of an approval. Null without a score.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from scoring.items import Item
from scoring.model import SCORE_DECIMALS, Floats
from scoring.plain import plain
from stream_features.spec import Spec

Answer = dict[str, Any]
_DIGITS = (7, 8, 9)  # 9 significant digits tell every float32 from its neighbours
_WITHHELD = frozenset({"pk", "features", "request", "ttl"})


def answers(items: Sequence[Item], spec_of: Callable[[str], Spec | None]) -> list[Answer]:
    """Answers in the items' order, with features, named by an item's spec, or none if that is unknown."""
    named = _features_by_name(items, spec_of)
    return [{**answer, "features": features} for answer, features in zip(brief(items), named, strict=True)]


def brief(items: Sequence[Item]) -> list[Answer]:
    """Answers in the items' order, without features."""
    return [_answer(item) for item in items]


def stored(item: Item) -> dict[str, Any]:
    """A decision as it is stored, but for its feature bytes; times are epoch milliseconds."""
    return {"id": item["pk"]["S"], **{n: plain(v) for n, v in item.items() if n not in _WITHHELD}}


def readable(features: Floats) -> list[list[float | None]]:
    """Each value as the decimal with 7 significant digits, or 8 or 9 if need be, that reads back as the same
    float32; None for NaN. [n, F] as n lists of F.

    >>> readable(np.array([[0.1, 12.3, 16777216, np.nan]], np.float32))
    [[0.1, 12.3, 16777216.0, None]]
    """
    values = features.astype(np.float64)
    shown = values.copy()
    with np.errstate(all="ignore"):
        exponent = np.floor(np.log10(np.abs(values, where=values != 0, out=np.ones_like(values))))
        undone = np.isfinite(values)
        for digits in _DIGITS:
            power = digits - 1 - exponent
            scale = 10.0 ** np.abs(power)
            tried = np.where(power < 0, np.rint(values / scale) * scale, np.rint(values * scale) / scale)
            fits = undone & (tried.astype(np.float32) == features)
            shown[fits] = tried[fits]
            undone &= ~fits
    return [
        [value if value - value == 0 else None for value in row] for row in shown.tolist()
    ]  # inf - inf is NaN


def _features_by_name(
    items: Sequence[Item], spec_of: Callable[[str], Spec | None]
) -> list[Mapping[str, float | None]]:
    """The items' features; those of one spec are read together."""
    by_spec: dict[str, list[int]] = {}
    for n, item in enumerate(items):
        by_spec.setdefault(item["spec"]["S"], []).append(n)
    found: list[Mapping[str, float | None]] = [{}] * len(items)
    for sha256, places in by_spec.items():
        spec = spec_of(sha256)
        if spec is not None:
            vectors = np.frombuffer(b"".join([items[n]["features"]["B"] for n in places]), "<f4")
            rows = readable(vectors.reshape(len(places), -1))
            for n, row in zip(places, rows, strict=True):
                found[n] = dict(zip(spec.feature_names, row, strict=True))
    return found


def _answer(item: Item) -> Answer:
    decision, score = item["decision"]["S"], float(item["score"]["N"]) if "score" in item else None
    at = datetime.fromtimestamp(int(item["scored_at"]["N"]) / 1000, UTC)
    return {
        "id": item["pk"]["S"] or None,
        "decision": decision,
        "score": score,
        "confidence": _confidence(decision, score),
        "reasons": plain(item["reasons"]) if "reasons" in item else [],
        "rules": plain(item["rules"]) if "rules" in item else [],
        "model": item["model"]["S"] if "model" in item else None,
        "policy": item["policy"]["S"],
        "source": item["source"]["S"],
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _confidence(decision: str, score: float | None) -> float | None:
    if score is None:
        return None
    return round(1 - score, SCORE_DECIMALS) if decision == "approve" else score
