"""A decision, and a label, as an item of the decisions table: which attributes there are and what they
hold. Pure.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from common.pricing import item_bytes
from scoring.policy import Action, Verdict
from scoring.reasons import Reason
from stream_features.spec import Spec

Value = dict[str, Any]
"""An attribute value in DynamoDB's form."""
Item = dict[str, Value]

KEEP_DAYS = 400
"""Long enough for last year's same season in a backtest."""
_DAY_MS = 86_400_000
ALWAYS_FIT = 100
"""So many kept fields and rules never make an item too large: a field holds at most 1,024 bytes."""
_ROOM_BYTES = 150_000
"""What kept fields, and what rules, may take of an item's 400 KB."""
_LEAST, _MOST = 1e-130, 1e126
"""The range of the table's numbers."""
_NO_BYTES: Value = {"B": b""}
_NO_FIELDS: Value = {"M": {}}
_NO_REASONS: Value = {"L": []}


class Challenged(NamedTuple):
    """The model that scored in shadow, its score, and what would have been decided were it the champion."""

    model: str
    score: float
    decision: Action


class Decision(NamedTuple):
    """One decision about one event. `absent` is the reason why there is no score; `source` is stream or
    api; `entity` is the primary one's value, `entities` are the others' by name. `challenger` is what
    the model that scored beside the one that decided made of it.
    """

    id: str
    entity: str
    event_time_ms: int
    arrival_ms: int
    scored_at_ms: int
    score: float | None
    verdict: Verdict
    reasons: Sequence[Reason]
    absent: str
    model: str | None
    policy: str
    spec_sha: str
    features: bytes
    kept: dict[str, Value]
    trace: str | None
    source: str
    entities: Mapping[str, str] = MappingProxyType({})
    challenger: Challenged | None = None


class Label(NamedTuple):
    """What an event turned out to be, and when that became known. `at_ms` is when the label arrived."""

    id: str
    entity: str
    event_time_ms: int
    label: bool
    label_time_ms: int
    at_ms: int


def to_item(decision: Decision) -> Item:
    """The item of a decision; what is not known has no attribute."""
    item: Item = {
        "pk": {"S": decision.id},
        "entity": {"S": decision.entity},
        "event_time": number(decision.event_time_ms),
        "scored_at": number(decision.scored_at_ms),
        "arrival": number(decision.arrival_ms),
        "latency_ms": number(decision.scored_at_ms - decision.arrival_ms),
        "decision": {"S": decision.verdict.decision},
        "policy": {"S": decision.policy},
        "spec": {"S": decision.spec_sha},
        "features": {"B": decision.features},
        "source": {"S": decision.source},
        "ttl": _ttl(decision.scored_at_ms),
    }
    verdict = decision.verdict
    if decision.score is not None:
        item["score"] = {"N": repr(decision.score)}
    if decision.model:
        item["model"] = {"S": decision.model}
    if decision.absent:
        item["reasons"] = {"L": [{"S": decision.absent}]}
    elif decision.reasons:
        item["reasons"] = {"L": [_reason(reason) for reason in decision.reasons]}
    if verdict.rules:
        item["rules"] = {"L": [{"S": name} for name in verdict.rules]}
    if verdict.propensity is not None:
        item["propensity"] = {"N": repr(verdict.propensity)}
    if decision.challenger:
        model, score, would = decision.challenger
        item["challenger"] = {
            "M": {"model": {"S": model}, "score": {"N": repr(score)}, "decision": {"S": would}}
        }
    if decision.entities:
        item["entities"] = {"M": {name: {"S": value} for name, value in decision.entities.items()}}
    if decision.kept:
        item["kept"] = {"M": decision.kept}
    if decision.trace:
        item["trace"] = {"S": decision.trace}
    return item if len(decision.kept) + len(verdict.rules) <= ALWAYS_FIT else fitting(item)


def fitting(item: Item) -> Item:
    """The item, without what would make it too large for the table: the last of its kept fields, then of its
    rules. `cut` names what is not whole.
    """
    kept, rules = item.get("kept", _NO_FIELDS)["M"], item.get("rules", _NO_REASONS)["L"]
    left = _ROOM_BYTES
    some: dict[str, Value] = {}
    for name, value in kept.items():
        left -= item_bytes({name: value})
        if left >= 0:
            some[name] = value
    left = _ROOM_BYTES
    fired = [rule for rule in rules if (left := left - item_bytes({"": rule})) >= 0]
    cut = [n for n, less in (("kept", len(some) < len(kept)), ("rules", len(fired) < len(rules))) if less]
    parts: Item = {"kept": {"M": some}, "rules": {"L": fired}}
    if cut:
        item = item | {"cut": {"L": [{"S": name} for name in cut]}}
    return item | {name: value for name, value in parts.items() if name in item}


def kept_values(spec: Spec, kept: Sequence[Any]) -> dict[str, Value]:
    """The kept fields of a row by name, decimals as the numbers they are; a missing one is left out. A float
    that the table's numbers cannot hold is its text.
    """
    named = zip(spec.event.keep, kept, strict=True)
    return {n: _kept(v, spec.fields[n].digits) for n, v in named if v is not None}


def label_values(label: Label) -> Item:
    """The attributes of a label."""
    return {"label": {"BOOL": label.label}, "label_time": number(label.label_time_ms)}


def stub_item(label: Label) -> Item:
    """The item of a label that came before its decision."""
    known = {
        "entity": {"S": label.entity},
        "event_time": number(label.event_time_ms),
        "ttl": _ttl(label.at_ms),
    }
    return {"pk": {"S": label.id}, **known, **label_values(label)}


def _reason(reason: Reason) -> Value:
    numbers = {"value": reason.value, "median": reason.median, "contribution": reason.contribution}
    known = {name: {"N": repr(number)} for name, number in numbers.items() if number is not None}
    told = {"text": {"S": reason.text}} if reason.text else {}
    return {"M": {"feature": {"S": reason.feature}, **known, **told}}


def _kept(value: Any, digits: int) -> Value:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, float) and not _LEAST <= abs(value) < _MOST and value:
        return {"S": repr(value)}
    return {"N": _decimal(value, digits) if digits else repr(value)}


def _decimal(value: int, digits: int) -> str:
    """The number value x 10^-digits.

    >>> [_decimal(value, 2) for value in (31000, -5, 0)]
    ['310.00', '-0.05', '0.00']
    """
    text = str(abs(value)).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def number(value: int) -> Value:
    """A whole number."""
    return {"N": str(value)}


def about_bytes(item: Item) -> int:
    """About how many bytes an item takes: enough for the meter, which counts whole kilobytes."""
    features, kept = item.get("features", _NO_BYTES)["B"], item.get("kept", _NO_FIELDS)["M"]
    reasons = item.get("reasons", _NO_REASONS)["L"]
    return 16 * len(item) + len(features) + 16 * len(kept) + 64 * len(reasons)


def _ttl(now_ms: int) -> Value:
    return number((now_ms + KEEP_DAYS * _DAY_MS) // 1000)
