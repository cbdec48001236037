"""Which entities' events a feature is made of, and how far back; derived features follow their parts."""

from functools import lru_cache
from typing import NamedTuple

from stream_features.ops import OPS
from stream_features.spec_model import HISTORY_OPS, Feature, Spec

TILE_MS = 86_400_000
"""A window's start can be rounded down by as much: the widest tile."""
ALWAYS_MS = 1 << 53


class Source(NamedTuple):
    """An entity (by place in the spec) whose events a feature reads, how far back, and whether its labels."""

    entity: int
    reach_ms: int
    labels: bool


@lru_cache(maxsize=8)
def sources(spec: Spec) -> tuple[tuple[Source, ...], ...]:
    """For each feature its sources; none for a feature of the event alone."""
    by_name = {feature.name: feature for feature in spec.features}
    return tuple(tuple(sorted(set(_sources(spec, by_name, feature)))) for feature in spec.features)


def _sources(spec: Spec, by_name: dict[str, Feature], feature: Feature) -> list[Source]:
    if OPS[feature.op].scope == "features":
        parts = [by_name[name] for name in (feature.of, feature.to, feature.std) if name in by_name]
        return [source for part in parts for source in _sources(spec, by_name, part)]
    if feature.entity is None:
        return []
    place = [entity.name for entity in spec.entities].index(feature.entity)
    history = feature.op in HISTORY_OPS
    reach_ms = ALWAYS_MS if history else feature.window_ms + feature.delay_ms + TILE_MS
    return [Source(place, reach_ms, OPS[feature.op].labels)]
