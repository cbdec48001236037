"""Recorded decisions as the rows they were made from: the way back from `scoring.rows.items`. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from scoring.items import Decision
from stream_features.spec_model import Field, Spec
from stream_features.state import Row


def row_of(spec: Spec, decision: Decision) -> Row:
    """What was scored, with the kept fields that rules look at; `spec` is the one of the decision's sha."""
    entities = (decision.entity, *(decision.entities[entity.name] for entity in spec.entities[1:]))
    kept = tuple(kept_value(spec.fields[name], decision.kept.get(name)) for name in spec.event.keep)
    times_ms = decision.event_time_ms, decision.arrival_ms
    return Row(decision.id, *times_ms, decision.trace, entities, kept, decision.features)


def kept_value(field: Field, stored: Mapping[str, Any] | None) -> Any:
    """A kept field as rules compare it, decimals scaled; None where it was missing.

    >>> kept_value(Field("amount", "decimal", digits=2), {"N": "12.5"})
    1250
    """
    if stored is None:
        return None
    ((_, content),) = stored.items()
    if field.kind == "float":
        return float(content)
    if field.is_number and field.kind != "bool":
        return int(Decimal(content).scaleb(field.digits))
    return content
