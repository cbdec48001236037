"""A decision as the table holds it, typed again: the way back from `scoring.items.to_item`. Pure."""

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from scoring.items import Challenged, Decision, Item, number, to_item
from scoring.policy import ACTIONS, Action, Verdict
from scoring.reasons import Reason

Stored = Mapping[str, Mapping[str, Any]]
"""An item in DynamoDB's form; bytes as bytes (a table read) or as base64 text (an export, a stream)."""


class Decided(NamedTuple):
    """A decision as it was made, and what has come to it since: the label, what the second path scored. `cut`
    names what was too large to store whole.
    """

    decision: Decision
    label: bool | None = None
    label_time_ms: int | None = None
    second_path_score: float | None = None
    cut: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The event's id."""
        return self.decision.id

    @property
    def action(self) -> str:
        """What was decided: approve, review or block."""
        return self.decision.verdict.decision

    def item(self) -> Item:
        """The item again, without `ttl` and an API request's digest."""
        item = to_item(self.decision)
        del item["ttl"]
        if self.label is not None:
            item |= {"label": {"BOOL": self.label}}
        if self.label_time_ms is not None:
            item |= {"label_time": number(self.label_time_ms)}
        if self.second_path_score is not None:
            item |= {"second_path_score": {"N": repr(self.second_path_score)}}
        return item | ({"cut": {"L": [{"S": name} for name in self.cut]}} if self.cut else {})


def decided_of(item: Stored) -> Decided:
    """The decision in an item that has one (`scored_at`): a label's stub has none, and raises KeyError."""
    score, absent = _float(item, "score"), ""
    reasons: list[Reason] = []
    for reason in item.get("reasons", _NONE).get("L", ()):
        if "S" in reason:
            absent = reason["S"]
        else:
            reasons.append(_reason(reason["M"]))
    challenger = item.get("challenger", _NONE).get("M")
    decision = Decision(
        id=item["pk"]["S"],
        entity=item["entity"]["S"],
        event_time_ms=int(item["event_time"]["N"]),
        arrival_ms=int(item["arrival"]["N"]),
        scored_at_ms=int(item["scored_at"]["N"]),
        score=score,
        verdict=_verdict(item),
        reasons=tuple(reasons),
        absent=absent,
        model=_text(item, "model"),
        policy=item["policy"]["S"],
        spec_sha=item["spec"]["S"],
        features=bytes_of(item.get("features", _NONE)),
        kept={name: dict(value) for name, value in item.get("kept", _NONE).get("M", {}).items()},
        trace=_text(item, "trace"),
        source=item["source"]["S"],
        entities={name: value["S"] for name, value in item.get("entities", _NONE).get("M", {}).items()},
        challenger=_challenged(challenger) if challenger else None,
    )
    return Decided(
        decision,
        label=bool(item["label"]["BOOL"]) if "label" in item else None,
        label_time_ms=int(item["label_time"]["N"]) if "label_time" in item else None,
        second_path_score=_float(item, "second_path_score"),
        cut=_texts(item, "cut"),
    )


def bytes_of(value: Mapping[str, Any]) -> bytes:
    """A binary attribute's bytes, however the item was read; empty where there is none."""
    content = value.get("B", b"")
    return base64.b64decode(content) if isinstance(content, str) else bytes(content)


_NONE: Mapping[str, Any] = {}


def _verdict(item: Stored) -> Verdict:
    return Verdict(_action(item), _texts(item, "rules"), _float(item, "propensity"))


def _challenged(content: Mapping[str, Any]) -> Challenged:
    return Challenged(content["model"]["S"], float(content["score"]["N"]), _action(content))


def _action(content: Mapping[str, Any]) -> Action:
    return next(action for action in ACTIONS if action == content["decision"]["S"])


def _reason(content: Mapping[str, Any]) -> Reason:
    return Reason(
        content["feature"]["S"],
        _float(content, "value"),
        _float(content, "median"),
        float(content["contribution"]["N"]),
        content.get("text", {"S": ""})["S"],
    )


def _float(item: Mapping[str, Any], name: str) -> float | None:
    return float(item[name]["N"]) if name in item else None


def _text(item: Stored, name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _texts(item: Stored, name: str) -> tuple[str, ...]:
    return tuple(value["S"] for value in item.get(name, _NONE).get("L", ()))
