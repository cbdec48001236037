"""Reads `features.toml` into a `Spec`; what cannot be computed right is refused with line and remedy."""

from collections.abc import Sequence
from typing import NoReturn

from stream_features.spec_definitions import defined
from stream_features.spec_event import Declared, declared
from stream_features.spec_feature import Block
from stream_features.spec_model import (
    Entity,
    EventSpec,
    Feature,
    Field,
    Scalar,
    Spec,
    from_json,
    horizon_ms,
    retention_ms,
    to_json,
)
from stream_features.spec_source import Source, duration_ms

__all__ = [
    "Entity",
    "EventSpec",
    "Feature",
    "Field",
    "Scalar",
    "Spec",
    "duration_ms",
    "from_json",
    "horizon_ms",
    "parse",
    "retention_ms",
    "to_json",
]


def parse(text: str, source: str = "features.toml") -> Spec:
    """The spec written in `text`; InvalidInputError names the source's line, the key and the remedy."""
    toml = Source(text, source)
    toml.known_tables({"event", "entities", "feature"})
    found = declared(toml)
    blocks = [Block(table, found) for table in toml.blocks("feature")]
    written = [(feature, block) for block in blocks for feature in block.features()]
    _unique_names(written, found)
    origins = {feature.name: block for feature, block in written}

    def refuse(name: str, message: str, key: str) -> NoReturn:
        origins[name].refuse(message, key)

    features = defined([feature for feature, _ in written], found, refuse)
    return Spec(event=found.event, entities=tuple(found.entities.values()), features=features)


def _unique_names(written: Sequence[tuple[Feature, Block]], found: Declared) -> None:
    """A feature is a column beside the id, the time, the entities and the label."""
    event = found.event
    taken: dict[str | None, str] = {event.label: "the label", event.id: "the id", event.time: "the time"}
    taken |= {entity.field: "an entity" for entity in found.entities.values()}
    for feature, block in written:
        if feature.name in taken:
            block.refuse(f"has the name of {taken[feature.name]}: {feature.name!r}; choose another", "name")
        taken[feature.name] = "another feature"
