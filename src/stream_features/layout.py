"""What the state of one entity keeps, as the spec's features need it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import msgspec

from stream_features.ops import OPS
from stream_features.spec_model import Feature, Field, Spec, horizon_ms


@dataclass(frozen=True)
class Layout:
    """The kept columns of an entity's event points, and the features (with place) that read its state."""

    horizon_ms: int
    columns: tuple[Field, ...]
    features: tuple[tuple[int, Feature], ...]

    @cached_property
    def keys(self) -> bytes:
        """Four bytes a column; they name a column in a blob whatever spec wrote it."""
        return b"".join(_key(field) for field in self.columns)

    @cached_property
    def has_labels(self) -> bool:
        """Whether any feature reads labels; if none does, labels leave no trace in the state."""
        return any(OPS[feature.op].labels for _, feature in self.features)

    @cached_property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """The distinct (delay, window) pairs in milliseconds."""
        return tuple(sorted({(feature.delay_ms, feature.window_ms) for _, feature in self.features}))


@lru_cache(maxsize=8)
def layouts(spec: Spec) -> tuple[Layout, ...]:
    """One layout an entity, in the spec's order."""
    return tuple(_layout(spec, entity.name) for entity in spec.entities)


def _layout(spec: Spec, entity: str) -> Layout:
    features = tuple((i, feature) for i, feature in enumerate(spec.features) if feature.entity == entity)
    names = dict.fromkeys(feature.of for _, feature in features if feature.of)
    columns = tuple(sorted((spec.fields[name] for name in names), key=_key))
    return Layout(horizon_ms(spec, entity), columns, features)


def _key(field: Field) -> bytes:
    definition = msgspec.json.encode([field.path, field.kind, field.digits])
    return hashlib.blake2b(definition, digest_size=4).digest()
