"""What the state of one entity keeps, as the spec's features need it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal

import msgspec

from stream_features.spec_model import Entity, Feature, Field, Scalar, Spec, horizon_ms

ColumnKind = Literal["number", "token", "flag"]
MeasureKind = Literal["count", "sum", "squares", "min", "max"]
Where = tuple[tuple[str, Scalar], ...]

_MEASURES: dict[str, tuple[MeasureKind, ...]] = {
    "sum": ("sum",),
    "mean": ("sum",),
    "std": ("sum", "squares"),
    "min": ("min",),
    "max": ("max",),
}
_LABEL_OPS = frozenset({"label_count", "label_rate"})
_TOKENS = frozenset({"distinct", "is_new", "same_as_last"})


@dataclass(frozen=True)
class Column:
    """What is kept of each event in the head: an exact number, 32 bits of a hash, or if `where` holds."""

    key: bytes
    kind: ColumnKind
    source: str = ""
    where: Where = ()


@dataclass(frozen=True)
class Measure:
    """What is kept of the events of a tile: of a column's values (-1: of events).

    Only of those where a flag holds (-1: of all). ``count`` counts the values that are not missing,
    ``squares`` is the sum of squares.
    """

    key: bytes
    kind: MeasureKind
    column: int = -1
    flag: int = -1


@dataclass(frozen=True)
class Memory:
    """The most recently seen values of a token column, where a flag holds (-1: always)."""

    key: bytes
    column: int
    flag: int = -1


@dataclass(frozen=True)
class Decay:
    """An exponentially weighted mean of a number column."""

    key: bytes
    column: int
    half_life_ms: int


@dataclass(frozen=True)
class Use:
    """A feature, its place in the vector, and what it reads of the state (-1: nothing of that kind)."""

    place: int
    feature: Feature
    scale: int = 1
    column: int = -1
    count: int = 0
    sum: int = -1
    squares: int = -1
    extreme: int = -1
    memory: int = -1
    decay: int = -1


@dataclass(frozen=True)
class Layout:
    """What an entity keeps, and what its features read of it."""

    horizon_ms: int
    exact_events: int
    columns: tuple[Column, ...]
    measures: tuple[Measure, ...]
    memories: tuple[Memory, ...]
    decays: tuple[Decay, ...]
    uses: tuple[Use, ...]

    @cached_property
    def parts(self) -> tuple[tuple[bytes, ...], ...]:
        """The keys of columns, measures, memories and decays; they name parts of a blob for any spec."""
        kinds: Sequence[Sequence[Column | Measure | Memory | Decay]]
        kinds = (self.columns, self.measures, self.memories, self.decays)
        return tuple(tuple(part.key for part in kind) for kind in kinds)

    @cached_property
    def has_labels(self) -> bool:
        """Whether any feature reads labels; if none does, labels leave no trace in the state."""
        return any(use.feature.op in _LABEL_OPS for use in self.uses)


@lru_cache(maxsize=8)
def layouts(spec: Spec) -> tuple[Layout, ...]:
    """One layout an entity, in the spec's order."""
    return tuple(_Planner(spec, entity).layout() for entity in spec.entities)


def source_field(spec: Spec, name: str) -> Field:
    """The field called `name`, or the id of the entity called so, which is text."""
    for entity in spec.entities:
        if entity.name == name and name not in spec.fields:
            return Field(entity.field, "string", path=(entity.field,))
    return spec.fields[name]


class _Planner:
    """Collects what the features of an entity need; what two need alike is kept once."""

    def __init__(self, spec: Spec, entity: Entity) -> None:
        self._spec, self._entity = spec, entity
        self._columns: dict[bytes, Column] = {}
        self._measures: dict[bytes, Measure] = {}
        self._memories: dict[bytes, Memory] = {}
        self._decays: dict[bytes, Decay] = {}

    def layout(self) -> Layout:
        self._measure("count", -1, -1)
        own = [(n, f) for n, f in enumerate(self._spec.features) if f.entity == self._entity.name]
        uses = tuple(self._use(place, feature) for place, feature in own)
        return Layout(
            horizon_ms(self._spec, self._entity.name),
            self._spec.event.exact_events,
            tuple(self._columns.values()),
            tuple(self._measures.values()),
            tuple(self._memories.values()),
            tuple(self._decays.values()),
            uses,
        )

    def _use(self, place: int, feature: Feature) -> Use:
        flag = self._flag(feature.where)
        if feature.of is None:
            return Use(place, feature, count=self._measure("count", -1, flag))
        field = source_field(self._spec, feature.of)
        column = self._column("token" if feature.op in _TOKENS else "number", feature.of, field)
        use = Use(place, feature, 10**field.digits, column)
        if feature.op in {"distinct", "is_new"}:
            return replace(use, memory=self._memory(column, flag))
        if feature.op == "ewma":
            return replace(use, decay=self._decay(column, feature.half_life_ms))
        if feature.op not in _MEASURES:
            return use
        found = {kind: self._measure(kind, column, flag) for kind in _MEASURES[feature.op]}
        return replace(
            use,
            count=self._measure("count", column, flag),
            sum=found.get("sum", -1),
            squares=found.get("squares", -1),
            extreme=found.get("min", found.get("max", -1)),
        )

    def _column(self, kind: ColumnKind, source: str, field: Field) -> int:
        key = _key(kind, field.path, field.kind, field.digits)
        return _place(self._columns, Column(key, kind, source))

    def _flag(self, where: Where) -> int:
        if not where:
            return -1
        fields = [(self._spec.fields[name], value) for name, value in where]
        key = _key("flag", [(f.path, f.kind, f.digits, value) for f, value in fields])
        return _place(self._columns, Column(key, "flag", where=where))

    def _measure(self, kind: MeasureKind, column: int, flag: int) -> int:
        key = _key(kind, self._named(column), self._named(flag))
        return _place(self._measures, Measure(key, kind, column, flag))

    def _memory(self, column: int, flag: int) -> int:
        key = _key("memory", self._named(column), self._named(flag))
        return _place(self._memories, Memory(key, column, flag))

    def _decay(self, column: int, half_life_ms: int) -> int:
        key = _key("decay", self._named(column), half_life_ms)
        return _place(self._decays, Decay(key, column, half_life_ms))

    def _named(self, column: int) -> str:
        return list(self._columns)[column].hex() if column >= 0 else ""


def _place[Part: (Column, Measure, Memory, Decay)](parts: dict[bytes, Part], part: Part) -> int:
    parts.setdefault(part.key, part)
    return list(parts).index(part.key)


def _key(*definition: object) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(definition), digest_size=4).digest()
