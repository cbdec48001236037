"""One decided event: what was served, and what of it can still be shown from the entity's state; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stream_features.any_order import History
from stream_features.spec_model import Spec
from stream_features.state import Stored
from streamscore.explain.found import EventExplained, FeatureValue
from streamscore.explain.parts import AsOf
from streamscore.explain.stored import as_vector, history_in

NOT_IN_HEAD = "the event is no longer among those the entity keeps one by one: only what was served is left"
SUMMED_UP = "a window reaches events that are summed up in tiles by now: an edge may have been exact then"
LABELS_SINCE = "labels count as known now; some may have become known after the event"
OTHER_SPEC = "decided under another spec than the stack runs now: features are matched by name"


@dataclass(frozen=True)
class Decided:
    """What a decision says of its event; ``spec`` is the one of its vector."""

    id: str
    time_ms: int
    spec: Spec
    vector: bytes


def explain_event(spec: Spec, entity: str, stored: Sequence[Stored], decided: Decided) -> EventExplained:
    """Every feature as served; those of the entity with what they are made of, if its state still tells."""
    served = as_vector(decided.spec, decided.vector)
    history = history_in(spec, entity, stored) if stored else None
    again = _recomputed(history, decided) if history else ()
    by_name = {one.feature: one for one in again}
    remarks = [OTHER_SPEC] if decided.spec.sha256 != spec.sha256 else []
    remarks += _remarks(again) if again else [NOT_IN_HEAD]
    features = [
        msgspec.structs.replace(
            by_name.get(feature.name, FeatureValue(feature.name, feature.op)),
            served=served.get(feature.name),
        )
        for feature in decided.spec.features
    ]
    return EventExplained(
        event=decided.id,
        time_ms=decided.time_ms,
        spec_sha=decided.spec.sha256,
        in_head=bool(again),
        remarks=tuple(remarks),
        features=tuple(features),
    )


def _recomputed(history: History, decided: Decided) -> Sequence[FeatureValue]:
    """As of the event of that instant; of several the one that comes out most like what was served."""
    served = as_vector(decided.spec, decided.vector)
    places = [n for n, at in enumerate(history.head_ms) if at == decided.time_ms]
    tries = [list(AsOf.event(history, place).features()) for place in reversed(places)]

    def alike(features: list[FeatureValue]) -> int:
        return sum(one.value == served.get(one.feature) for one in features)

    return max(tries, key=alike, default=())


def _remarks(features: Sequence[FeatureValue]) -> list[str]:
    parts = [one.parts for one in features if one.parts]
    rounded = any(edge.rounded_to_ms for one in parts for edge in (one.since, one.until) if edge)
    labels = any("known positives" in one.numbers for one in parts)
    return [*([SUMMED_UP] if rounded else []), *([LABELS_SINCE] if labels else [])]
