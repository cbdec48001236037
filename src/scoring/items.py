"""A decision, and a label, as an item of the decisions table: which attributes there are and what they
hold. Pure.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from scoring.policy import Verdict
from scoring.reasons import Reason
from stream_features.spec import Spec

Value = dict[str, Any]
"""An attribute value in DynamoDB's form."""
Item = dict[str, Value]

KEEP_DAYS = 400
"""Long enough for last year's same season in a backtest."""
_DAY_MS = 86_400_000
_NO_BYTES: Value = {"B": b""}
_NO_FIELDS: Value = {"M": {}}
_NO_REASONS: Value = {"L": []}


class Decision(NamedTuple):
    """One decision about one event. `absent` is the reason why there is no score; `source` is stream or
    api.
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
    reasons = [{"S": decision.absent}] if decision.absent else [_reason(r) for r in decision.reasons]
    optional = {
        "score": None if decision.score is None else {"N": repr(decision.score)},
        "model": {"S": decision.model} if decision.model else None,
        "reasons": {"L": reasons} if reasons else None,
        "rules": {"L": [{"S": n} for n in decision.verdict.rules]} if decision.verdict.rules else None,
        "kept": {"M": decision.kept} if decision.kept else None,
        "trace": {"S": decision.trace} if decision.trace else None,
    }
    return item | {name: value for name, value in optional.items() if value is not None}


def kept_values(spec: Spec, kept: Sequence[Any]) -> dict[str, Value]:
    """The kept fields of a row by name, decimals as the numbers they are; a missing one is left out."""
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
    return {"N": format(Decimal(value).scaleb(-digits), "f") if digits else repr(value)}


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
