"""An entity's stored item, or items, taken apart; pure."""

import math
from collections.abc import Mapping, Sequence

from stream_features.any_order import History, Values
from stream_features.columns import NULL
from stream_features.layout import Column, Layout, Measure, layouts, source_field
from stream_features.sharing import united
from stream_features.spec_model import Spec
from stream_features.state import NO_SHARD, Mark, Stored, decode_item
from stream_features.states import NEVER
from stream_features.tiles import DAILY_FROM_MS, DAY_MS, FINE_MS, HOUR_MS, HOURLY_FROM_MS, rounded_down
from stream_features.verdict import ID_BYTES, LABEL_BYTES
from streamscore.explain.found import Explained, HeadEvent, Tile, Value, Watermark
from streamscore.explain.parts import AsOf, in_units


def explain(spec: Spec, entity: str, value: str, stored: Sequence[Stored], now_ms: int) -> Explained:
    """What the entity's items say, a main item first; InvalidInputError for one of an unknown version."""
    items, layout = [decode_item(one, NO_SHARD) for one in stored], layout_of(spec, entity)
    history = history_in(spec, entity, stored)
    marks = [mark for item in items for mark in item.other_marks]
    newest = {mark.shard: mark for mark in sorted(marks, key=_position)}
    names = Names(spec, layout)
    last = len(history.head_ms) - 1
    return Explained(
        entity=entity,
        value=value,
        items=len(items),
        version=stored[0].v,
        watermarks=tuple(_watermark(mark, now_ms) for mark in newest.values()),
        ids_remembered=sum(len(item.ids) // ID_BYTES for item in items),
        labels_remembered=sum(len(item.labels) // LABEL_BYTES for item in items),
        bytes=sum(len(one.w) + len(one.s) for one in stored),
        newest_ms=None if history.newest_ms == NEVER else history.newest_ms,
        head=tuple(
            HeadEvent(at, names.event(values))
            for at, values in zip(history.head_ms, history.head, strict=True)
        ),
        tiles=tuple(
            Tile(at, tile_size_ms(at, history.newest_ms), names.tile(row))
            for at, row in history.tiles.items()
        ),
        positives_ms=tuple(history.positives),
        positive_tiles={str(at): count for at, count in history.positive_tiles.items()},
        values_remembered={
            names.column(layout.columns[memory.column]): len(seen)
            for memory, seen in zip(layout.memories, history.memories, strict=True)
        },
        features=tuple(AsOf.event(history, last).features()) if last >= 0 else (),
    )


def layout_of(spec: Spec, entity: str) -> Layout:
    """What the entity's state keeps."""
    return layouts(spec)[[one.name for one in spec.entities].index(entity)]


def history_in(spec: Spec, entity: str, stored: Sequence[Stored]) -> History:
    """The kernel's part of an entity's items, as one."""
    layout = layout_of(spec, entity)
    return History.from_blob(layout, united(layout, stored))


class Names:
    """What columns and measures are called, and their values in units."""

    def __init__(self, spec: Spec, layout: Layout) -> None:
        self._spec, self._layout = spec, layout

    def column(self, column: Column) -> str:
        """The field, or the condition, that a column keeps."""
        if column.kind == "flag":
            return " and ".join(f"{name} is {value}" for name, value in column.where)
        return column.source

    def event(self, values: Values) -> dict[str, Value]:
        """What is kept of one event; a text or an id is 32 bits of a hash."""
        return {
            self.column(column): self._value(column, value)
            for column, value in zip(self._layout.columns, values, strict=True)
        }

    def tile(self, row: Values) -> dict[str, Value]:
        """The measures of a tile."""
        return {
            self._measure(measure): self._total(measure, value)
            for measure, value in zip(self._layout.measures, row, strict=True)
        }

    def _measure(self, measure: Measure) -> str:
        what = "events" if measure.column < 0 else self.column(self._layout.columns[measure.column])
        where = f" where {self.column(self._layout.columns[measure.flag])}" if measure.flag >= 0 else ""
        return f"{measure.kind} of {what}{where}"

    def _value(self, column: Column, value: int) -> Value:
        if column.kind == "flag":
            return value == 1
        if column.kind == "token":
            return None if value == NULL else f"#{value & 0xFFFF_FFFF:08x}"
        return in_units(value, 10 ** source_field(self._spec, column.source).digits)

    def _total(self, measure: Measure, value: int) -> Value:
        if measure.kind == "count" or measure.column < 0:
            return value
        scale = 10 ** source_field(self._spec, self._layout.columns[measure.column].source).digits
        return in_units(value, scale * scale if measure.kind == "squares" else scale)


def tile_size_ms(start_ms: int, clock_ms: int) -> int:
    """How long the tile that starts there is, when the newest event is of `clock_ms`."""
    if start_ms < rounded_down(clock_ms - DAILY_FROM_MS, DAY_MS):
        return DAY_MS
    return HOUR_MS if start_ms < rounded_down(clock_ms - HOURLY_FROM_MS, HOUR_MS) else FINE_MS


def _position(mark: Mark) -> tuple[int, int]:
    return int.from_bytes(mark.sequence), mark.sub_sequence


def _watermark(mark: Mark, now_ms: int) -> Watermark:
    age_s = max(now_ms // 1000 - mark.arrival_s, 0)
    return Watermark(mark.shard, str(int.from_bytes(mark.sequence)), mark.sub_sequence, age_s)


def as_vector(spec: Spec, vector: bytes) -> Mapping[str, Value]:
    """A served float32 vector by feature names; empty if it is not one of this spec."""
    if len(vector) != 4 * len(spec.features):
        return {}
    values = memoryview(vector).cast("f").tolist()
    return {
        name: None if math.isnan(value) else value
        for name, value in zip(spec.feature_names, values, strict=True)
    }
