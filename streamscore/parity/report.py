"""What a comparison found, as plain data: equal rows, each feature's first difference, and the reasons."""

from typing import Literal

import msgspec

Reason = Literal["spec", "not_in_file", "state_not_loaded", "late", "label", "cross_shard", "unexplained"]

MEANINGS: dict[Reason, str] = {
    "spec": "decided under another spec or definition",
    "not_in_file": "the stack counted events that the file lacks",
    "state_not_loaded": "the stack's history lacks events that the file has",
    "late": "an event arrived after a newer one of its entity",
    "label": "the stack lacks or contradicts a label of the file",
    "cross_shard": "the entity's events came through more than one shard",
    "unexplained": "no reason found",
}


class Bounds(msgspec.Struct, frozen=True):
    """First and last event time known of an entity, epoch milliseconds; None if none is."""

    first_ms: int | None
    last_ms: int | None


class Difference(msgspec.Struct, frozen=True):
    """One value that was served otherwise than backfilled. NaN is null in JSON."""

    event: str
    event_time_ms: int
    served: float
    backfilled: float
    reason: Reason
    entity: str | None = None
    value: str | None = None
    shards: int = 0
    file: Bounds | None = None
    stack: Bounds | None = None


class FeatureParity(msgspec.Struct, frozen=True):
    """One feature over all compared events; ``failed`` differences are those of single-shard entities."""

    feature: str
    compared: int
    different: int
    failed: int
    largest_difference: float
    reasons: dict[str, int]
    first: Difference | None = None


class EntityParity(msgspec.Struct, frozen=True):
    """Rows in which every feature of this entity was served as backfilled."""

    entity: str
    rows: int
    equal: int

    @property
    def percent(self) -> float:
        """Equal rows in percent."""
        return 100.0 * self.equal / self.rows if self.rows else 0.0


class Report(msgspec.Struct, frozen=True):
    """A whole comparison. ``held``: no entity of one shard differs."""

    events: int
    compared: int
    equal: int
    not_decided: int
    by_api: int
    unreadable: int
    held: bool
    entities: tuple[EntityParity, ...]
    features: tuple[FeatureParity, ...]
