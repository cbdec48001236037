"""What there is to say about an entity, as plain data; times in epoch milliseconds, values in units."""

import msgspec

Value = float | int | str | bool | None


class Watermark(msgspec.Struct, frozen=True):
    """The last record of a shard that the item has seen, and how long ago that arrived."""

    shard: int
    sequence: str
    sub_sequence: int
    age_s: int


class HeadEvent(msgspec.Struct, frozen=True):
    """An event that is kept by itself, and what is kept of it."""

    time_ms: int
    values: dict[str, Value]


class Tile(msgspec.Struct, frozen=True):
    """Older events, summed up: of an interval of ``grain_ms`` from ``start_ms``."""

    start_ms: int
    grain_ms: int
    measures: dict[str, Value]


class Edge(msgspec.Struct, frozen=True):
    """The first instant of a window, or the first after it; ``rounded_to_ms`` of a tile, 0 if it is exact."""

    at_ms: int
    rounded_to_ms: int


class Parts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a value is made of. ``since`` is included, ``until`` is not; ``numbers`` by what they are."""

    numbers: dict[str, Value]
    since: Edge | None = None
    until: Edge | None = None
    in_head: int = 0
    in_tiles: int = 0


class FeatureValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature of the entity as of one of its events; ``served`` is what the decision holds."""

    feature: str
    op: str
    value: Value = None
    parts: Parts | None = None
    served: Value = None
    note: str = ""


class Explained(msgspec.Struct, frozen=True):
    """What is stored of an entity, and its features as of its newest event.

    ``items``: 1, or of a shared entity that many shards write its main item and sub-items; ``version`` is the
    main item's, ``bytes`` are those of all, and a shard's watermark is the furthest.
    """

    entity: str
    value: str
    items: int
    version: int
    watermarks: tuple[Watermark, ...]
    ids_remembered: int
    labels_remembered: int
    bytes: int
    newest_ms: int | None
    head: tuple[HeadEvent, ...]
    tiles: tuple[Tile, ...]
    positives_ms: tuple[int, ...]
    positive_tiles: dict[str, int]
    values_remembered: dict[str, int]
    features: tuple[FeatureValue, ...]


class EventExplained(msgspec.Struct, frozen=True):
    """One decided event: every feature as served, and those of the entity recomputed from its state."""

    event: str
    time_ms: int
    spec_sha: str
    in_head: bool
    remarks: tuple[str, ...]
    features: tuple[FeatureValue, ...]
