"""A history folded stretch by stretch, by the kernel that serves; where it is cut changes nothing."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from common.errors import InvalidInputError
from stream_features.columns import NULL, Columns, Group, Ints, Vectors, text_hash, used_fields
from stream_features.entity_ids import EntityIds
from stream_features.kernel import fold
from stream_features.ops import OPS
from stream_features.spec_model import Field, Spec
from streamscore.training.hashed import kept_ids
from streamscore.training.known import Ids, Values

Codes = NDArray[np.int32]
Fields = dict[str, NDArray[np.int64] | NDArray[np.float64]]


@dataclass(frozen=True)
class Chunk:
    """Events by time: their columns, their entities' numbers, and their features (float32[n, F])."""

    rows: pl.DataFrame
    codes: tuple[Codes, ...]
    features: Vectors


@dataclass(frozen=True)
class _Labels:
    """Labels in the order in which they become known: their events' times and entities' numbers."""

    known_ms: Ints
    time_ms: Ints
    label: NDArray[np.bool_]
    codes: tuple[Codes, ...]

    def part(self, first: int, end: int | None) -> "_Labels":
        cut = slice(first, end)
        codes = tuple(codes[cut] for codes in self.codes)
        return _Labels(self.known_ms[cut], self.time_ms[cut], self.label[cut], codes)


class Replay:
    """Folds events, given in the order of time, and their labels when those become known.

    A label arrives at its event's time + label_known_after, before events then. With `until_ms`, only what
    has arrived until then counts. `key` is that of hashed entities: their ids are hashes in what comes out.
    ``blobs[j][code]`` is the state of the entity ``values[j].names()[code]``.
    """

    def __init__(
        self, spec: Spec, until_ms: int | None = None, *, key: bytes | None = None, emit: bool = True
    ) -> None:
        self.spec, self.until_ms = spec, until_ms
        self._kept = EntityIds(spec, key)
        self.values = tuple(Values() for _ in spec.entities)
        self.blobs: tuple[list[bytes], ...] = tuple([] for _ in spec.entities)
        self.events = self.repeats = self.newest_ms = 0
        self._emit, self._ids = emit, Ids()
        self._waiting: deque[_Labels] = deque()
        self._reads_labels = any(OPS[feature.op].labels for feature in spec.features)

    def add(self, rows: pl.DataFrame) -> Chunk:
        """Fold the next events; those of them that count."""
        rows = kept_ids(self.spec, self._kept, self._counting(rows))
        codes = tuple(v.codes(rows[e.field]) for v, e in zip(self.values, self.spec.entities, strict=True))
        for blobs, values in zip(self.blobs, self.values, strict=True):
            blobs.extend([b""] * (len(values) - len(blobs)))
        self._await(rows, codes)
        if rows.height:
            self.newest_ms = int(rows[self.spec.event.time][-1])
        features = self._fold(rows, codes, self._known(self.newest_ms))
        self.events += rows.height
        return Chunk(rows, codes, features)

    def finish(self) -> None:
        """Fold the labels that become known after the last event."""
        empty = tuple(np.empty(0, np.int32) for _ in self.values)
        last_ms = 2**62 if self.until_ms is None else self.until_ms
        self._fold(None, empty, self._known(last_ms))

    def _counting(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.until_ms is not None:
            rows = rows.filter(pl.col(self.spec.event.time) <= self.until_ms)
        fresh = self._ids.new(rows[self.spec.event.id])
        if fresh.all():
            return rows
        self.repeats += len(fresh) - int(fresh.sum())
        return rows.filter(fresh)

    def _await(self, rows: pl.DataFrame, codes: tuple[Codes, ...]) -> None:
        """Keep the labels of `rows` until they are known."""
        name, known_after_ms = self.spec.event.label, self.spec.event.label_known_after_ms
        if not self._reads_labels or name not in rows.columns:
            return
        if known_after_ms is None:
            raise InvalidInputError(
                'the spec has label features: [event] needs label_known_after, such as "7d"'
            )
        told = np.flatnonzero(rows[name].is_not_null().to_numpy())
        if len(told):
            time_ms = rows[self.spec.event.time].to_numpy()[told]
            label = rows[name].fill_null(False).to_numpy()[told]
            own = tuple(some[told] for some in codes)
            self._waiting.append(_Labels(time_ms + known_after_ms, time_ms, label, own))

    def _known(self, until_ms: int) -> list[_Labels]:
        """Take the waiting labels that are known by then."""
        known = []
        while self._waiting and self._waiting[0].known_ms[0] <= until_ms:
            some = self._waiting.popleft()
            count = int(np.searchsorted(some.known_ms, until_ms, side="right"))
            known.append(some.part(0, count))
            if count < len(some.known_ms):
                self._waiting.appendleft(some.part(count, None))
        return known

    def _fold(self, rows: pl.DataFrame | None, codes: tuple[Codes, ...], labels: list[_Labels]) -> Vectors:
        columns, order = _columns(self.spec, rows, labels, self._fields(rows, codes))
        groups, touched = [], []
        for place, own in enumerate(codes):
            merged = np.concatenate([*(some.codes[place] for some in labels), own])[order]
            who, local = _compact(merged, len(self.values[place]))
            blobs = self.blobs[place]
            groups.append(Group(local, [blobs[code] for code in who], np.ones(len(order), np.bool_)))
            touched.append(who)
        folded = fold(self.spec, columns, groups, emit=self._emit)
        for blobs, who, after in zip(self.blobs, touched, folded.blobs, strict=True):
            for code, blob in zip(who, after, strict=True):
                blobs[code] = blob
        return folded.features[columns.is_event] if labels else folded.features

    def _fields(self, rows: pl.DataFrame | None, codes: tuple[Codes, ...]) -> Fields:
        """What features read of the events: a field, or an entity's id as a hash."""
        fields: Fields = {}
        entities = [entity.name for entity in self.spec.entities]
        for name in used_fields(self.spec):
            field = self.spec.fields.get(name)
            if rows is None:
                is_float = field is not None and field.kind == "float"
                fields[name] = np.empty(0, np.float64) if is_float else np.empty(0, np.int64)
            elif field:
                fields[name] = _values(field, rows[name])
            else:
                place = entities.index(name)
                fields[name] = self.values[place].hashes()[codes[place]]
        return fields


def _compact(codes: Codes, count: int) -> tuple[list[int], Codes]:
    """Which of `count` numbers occur, and `codes` as places among them."""
    occurs = np.zeros(count, np.bool_)
    occurs[codes] = True
    who = np.flatnonzero(occurs)
    place = np.empty(count, np.int32)
    place[who] = np.arange(len(who), dtype=np.int32)
    return who.tolist(), place[codes]


def _columns(
    spec: Spec, rows: pl.DataFrame | None, labels: list[_Labels], events: Fields
) -> tuple[Columns, Ints]:
    """Labels and events as one batch in the order of arrival, and that order of [labels, events]."""
    count = sum(len(some.time_ms) for some in labels)
    times = np.empty(0, np.int64) if rows is None else rows[spec.event.time].to_numpy()
    known = np.concatenate([*(some.known_ms for some in labels), times])
    order = np.argsort(known, kind="stable")
    fields = {
        name: np.concatenate([np.full(count, _nothing(own)), own])[order] for name, own in events.items()
    }
    columns = Columns(
        time_ms=np.concatenate([*(some.time_ms for some in labels), times])[order],
        is_event=order >= count,
        fields=fields,
        label=np.concatenate([*(some.label for some in labels), np.zeros(len(times), np.bool_)])[order],
    )
    return columns, order


def _nothing(values: NDArray[np.int64] | NDArray[np.float64]) -> int | float:
    return NULL if values.dtype == np.int64 else float("nan")


def _values(field: Field, column: pl.Series) -> NDArray[np.int64] | NDArray[np.float64]:
    """A field's column as the kernel takes it."""
    if field.kind == "float":
        return column.fill_null(float("nan")).to_numpy()
    if field.kind == "string":
        texts = column.unique().drop_nulls()
        hashes = pl.Series([text_hash(text) for text in texts.to_list()], dtype=pl.Int64)
        column = column.replace_strict(texts, hashes, default=None, return_dtype=pl.Int64)
    return column.cast(pl.Int64).fill_null(NULL).to_numpy()
