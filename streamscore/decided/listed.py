"""Many decisions as rows: a line each for people, a record each for a spreadsheet. Pure.

The moment of the decision comes first and sorts as text, since the log has no order: pipe it through `sort`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from stream_features.spec_model import Spec
from streamscore.decided.stored import Decided
from streamscore.decided.text import printable
from streamscore.moments import rfc3339

_COLUMNS = (
    *("scored_at", "id", "event_time", "decision", "score", "reasons", "rules", "propensity"),
    *("model", "policy", "source", "latency_ms", "label", "label_time"),
    *("challenger", "challenger_score", "challenger_decision"),
)


class Columns(NamedTuple):
    """What a record has beside the decision's own columns: kept fields, and entities' ids if asked for."""

    kept: tuple[str, ...]
    entities: tuple[str, ...]

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns; a kept field or an entity that has the name of another one is told apart
        by what it is.
        """
        more = [("kept", name) for name in self.kept] + [("entity", name) for name in self.entities]
        names = [*_COLUMNS, *(name for _, name in more)]
        return (*_COLUMNS, *(name if names.count(name) == 1 else f"{kind}_{name}" for kind, name in more))


def columns_of(spec: Spec | None, with_entities: bool) -> Columns:
    """The columns that the spec's decisions have; without a spec no field has a name."""
    if spec is None:
        return Columns((), ())
    return Columns(spec.event.keep, tuple(e.name for e in spec.entities) if with_entities else ())


def record(one: Decided, columns: Columns) -> list[str]:
    """The values as text; "" where there is none. Times are RFC 3339, UTC; reasons are features, the
    strongest first; what is several is parted by a space.
    """
    decision, verdict = one.decision, one.decision.verdict
    entities, shadow = ids_of(one, columns.entities), decision.challenger
    return [
        rfc3339(decision.scored_at_ms),
        decision.id,
        rfc3339(decision.event_time_ms),
        verdict.decision,
        _number(decision.score),
        " ".join([reason.feature for reason in decision.reasons] or [decision.absent]),
        " ".join(verdict.rules),
        _number(verdict.propensity),
        decision.model or "",
        decision.policy,
        decision.source,
        str(decision.scored_at_ms - decision.arrival_ms),
        "" if one.label is None else str(one.label).lower(),
        "" if one.label_time_ms is None else rfc3339(one.label_time_ms),
        *(("", "", "") if shadow is None else (shadow.model, _number(shadow.score), shadow.decision)),
        *(_kept(decision.kept.get(name)) for name in columns.kept),
        *(entities.get(name, "") for name in columns.entities),
    ]


def line(one: Decided) -> str:
    """For a person: when, what, how sure, of which event, what it turned out to be, why."""
    decision = one.decision
    score = "       -" if decision.score is None else f"{decision.score:.6f}"
    label = {None: "open", True: "positive", False: "negative"}[one.label]
    why = decision.reasons[0].text or decision.reasons[0].feature if decision.reasons else decision.absent
    told = f"{rfc3339(decision.scored_at_ms)}  {one.action:<7}  {score}  {label:<8}  {decision.id}  {why}"
    return printable(told).rstrip()


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _kept(value: dict[str, Any] | None) -> str:
    if value is None:
        return ""
    ((_, content),) = value.items()
    return str(content).lower() if isinstance(content, bool) else str(content)


def ids_of(one: Decided, entities: Sequence[str]) -> dict[str, str]:
    """The ids of the decision's entities by name; `entities` are the spec's, the primary first."""
    return {**dict(zip(entities, [one.decision.entity], strict=False)), **one.decision.entities}
