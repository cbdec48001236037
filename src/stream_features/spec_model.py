"""The feature spec as frozen plain data, with one canonical JSON form that its sha256 names."""

import hashlib
from functools import cached_property
from typing import Literal

import msgspec

FieldKind = Literal["decimal", "float", "int", "string", "bool"]
Scalar = str | int | float | bool

DEFAULT_EXACT_EVENTS = 128


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field of an event. ``digits`` is the scale of a decimal: its values are integers × 10^digits."""

    name: str
    kind: FieldKind
    digits: int = 0
    optional: bool = False
    path: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether values are exact integers (after scaling)."""
        return self.kind in {"decimal", "int", "bool"}


class EventSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an event's parts are found in a record, and which records are refused.

    ``exact_events``: how many of its newest events an entity keeps one by one; older ones lie in tiles.
    """

    id: str
    time: str
    label: str | None = None
    label_known_after_ms: int | None = None
    trace: str | None = None
    keep: tuple[str, ...] = ()
    max_age_ms: int | None = None
    fields: tuple[Field, ...] = ()
    exact_events: int = DEFAULT_EXACT_EVENTS


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that has a history: ``field`` is the event key that holds its id. With ``hash`` only the
    keyed hash of that is ever kept (`entity_ids`).
    """

    name: str
    field: str
    hash: bool = False


class Feature(msgspec.Struct, frozen=True, omit_defaults=True):
    """One column of the feature vector. ``hash`` names its definition: equal hashes, equal numbers.

    ``reason`` is the sentence that tells it when it is a reason (`spec_reason`); "" for the usual one.
    """

    name: str
    op: str
    hash: str
    entity: str | None = None
    of: str | None = None
    window_ms: int = 0
    delay_ms: int = 0
    default: float | None = None
    hours: tuple[int, int] | None = None
    values: tuple[Scalar, ...] = ()
    where: tuple[tuple[str, Scalar], ...] = ()
    half_life_ms: int = 0
    to: str | None = None
    std: str | None = None
    timezone: str | None = None
    reason: str = ""


class Spec(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A whole `features.toml`. ``entities[0]`` is the primary entity, the stream's partition key."""

    event: EventSpec
    entities: tuple[Entity, ...]
    features: tuple[Feature, ...]

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the canonical JSON; comments and layout of the TOML do not change it."""
        return hashlib.sha256(to_json(self)).hexdigest()

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names in vector order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def definition_hashes(self) -> tuple[str, ...]:
        """Definition hashes in vector order."""
        return tuple(feature.hash for feature in self.features)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Fields by name."""
        return {field.name: field for field in self.event.fields}


def to_json(spec: Spec) -> bytes:
    """Canonical JSON: key order and numbers are the same for equal specs."""
    return msgspec.json.encode(spec, order="deterministic")


def from_json(data: bytes | str) -> Spec:
    """The spec that `to_json` wrote."""
    return msgspec.json.decode(data, type=Spec)


HISTORY_MS = 90 * 86_400_000
"""A gap of this length ends the history that ops without a window look back on."""

HISTORY_OPS = frozenset({"since_last", "last", "same_as_last", "ewma"})


def retention_ms(spec: Spec, entity: str) -> int:
    """How long after its newest event an entity's state can still matter."""
    remembers = any(f.entity == entity and f.op in HISTORY_OPS for f in spec.features)
    return max(horizon_ms(spec, entity), HISTORY_MS if remembers else 0)


def horizon_ms(spec: Spec, entity: str) -> int:
    """How far behind its newest event an entity's state must reach; at least 1, so the newest is kept."""
    return max((f.window_ms + f.delay_ms for f in spec.features if f.entity == entity), default=0) or 1
