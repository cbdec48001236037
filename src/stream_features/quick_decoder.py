"""Decodes the records nearly all producers send, a batch at a time; the rest is for the careful decoder."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from stream_features import json_columns, record_shape
from stream_features.careful_decoder import DAY_MS, MAX_TRACE_CHARACTERS
from stream_features.event_types import Event, Label, event_hashes, label_hashes
from stream_features.json_columns import IDENTIFIER, TEXT, TIME, TRUTH, Doubts
from stream_features.spec_model import Spec

_UNUSUAL = (ValueError, RecursionError, msgspec.MsgspecError)
_ANSWERS = {b"true": True, b"1": True, b"false": False, b"0": False}


class QuickDecoder:
    """Records typed by msgspec one by one, then read column by column."""

    def __init__(self, spec: Spec) -> None:
        event, shape = spec.event, record_shape.Shape()
        self._id, self._time = shape.add((event.id,), IDENTIFIER), shape.add((event.time,), TIME)
        self._entities = [shape.add((entity.field,), IDENTIFIER) for entity in spec.entities]
        self._fields = [(field, shape.add(field.path, json_columns.kind_of(field))) for field in event.fields]
        self._kept = [list(spec.fields).index(name) for name in event.keep]
        self._type, self._redrive = shape.add(("type",), TEXT), shape.add(("redrive",), TRUTH)
        self._answer = shape.add((event.label,), Raw) if event.label else None
        self._label_time = shape.add(("label_time",), TIME)
        self._trace = shape.add((event.trace,), TEXT) if event.trace else None
        self._max_age_ms, self._ahead_ms = event.max_age_ms, event.max_age_ms or DAY_MS
        self._is_clear, record = shape.is_clear, shape.struct()
        self._nothing, self._json = record(), msgspec.json.Decoder(record)

    def decode(self, datas: Sequence[bytes], arrivals_ms: Sequence[int]) -> Sequence[Event | Label | None]:
        """For each record exactly what `CarefulDecoder` gives, or None: it must say."""
        if not datas or not self._is_clear:
            return [None] * len(datas)
        batch = _Batch(self._typed(datas), datas, arrivals_ms)
        kinds = batch.column(self._type)
        if "label" not in kinds:
            return self._events(batch)
        records: list[Event | Label | None] = [None] * len(datas)
        for is_label, read in ((False, self._events), (True, self._labels)):
            rows = [row for row, kind in enumerate(kinds) if (kind == "label") is is_label]
            found = read(batch.part(rows)) if rows else ()
            for row, record in zip(rows, found, strict=True):
                records[row] = record
        return records

    def _typed(self, datas: Sequence[bytes]) -> list[msgspec.Struct]:
        """The records as structs; one without any value where a record is unusual."""
        decode, all_utf8, typed = self._json.decode, _are_utf8(datas), []
        for data in datas:
            try:
                if not all_utf8:
                    str(data, "utf-8")
                typed.append(decode(data))
            except _UNUSUAL:
                typed.append(self._nothing)
        return typed

    def _events(self, batch: "_Batch") -> list[Event | None]:
        doubts = batch.doubts
        when_ms = json_columns.times_ms(batch.column(self._time), doubts)
        arrivals_ms = np.array(batch.arrivals_ms, np.int64)
        doubts.but(when_ms <= arrivals_ms + self._ahead_ms)
        redriven = [found is True for found in batch.column(self._redrive)]
        if self._max_age_ms is not None:
            doubts.but((when_ms >= arrivals_ms - self._max_age_ms) | redriven)
        ids = json_columns.identifiers(batch.column(self._id), doubts)
        values = [json_columns.of_field(field, batch.column(at), doubts) for field, at in self._fields]
        return doubts.without(
            map(
                Event,
                ids,
                event_hashes(ids),
                when_ms.tolist(),
                batch.arrivals_ms,
                self._traces(batch),
                self._entity_ids(batch),
                _rows(values),
                _rows([values[place] for place in self._kept]),
                redriven,
            )
        )

    def _labels(self, batch: "_Batch") -> list[Label | None]:
        doubts = batch.doubts
        if self._answer is None:
            return [None] * len(batch.datas)
        when_ms, label_time_ms = (
            json_columns.times_ms(batch.column(at), doubts) for at in (self._time, self._label_time)
        )
        doubts.but(np.maximum(when_ms, label_time_ms) <= np.array(batch.arrivals_ms) + self._ahead_ms)
        answers = [
            _ANSWERS.get(bytes(raw)) if type(raw) is Raw else None for raw in batch.column(self._answer)
        ]
        doubts.add(row for row, answer in enumerate(answers) if answer is None)
        # "label" with escapes in it is no label
        doubts.add(row for row, data in enumerate(batch.datas) if b"\\" in data)
        ids = json_columns.identifiers(batch.column(self._id), doubts)
        return doubts.without(
            map(
                Label,
                ids,
                label_hashes(ids),
                when_ms.tolist(),
                batch.arrivals_ms,
                answers,
                label_time_ms.tolist(),
                self._entity_ids(batch),
                [found is True for found in batch.column(self._redrive)],
            )
        )

    def _entity_ids(self, batch: "_Batch") -> Iterable[tuple[str, ...]]:
        return _rows([json_columns.identifiers(batch.column(at), batch.doubts) for at in self._entities])

    def _traces(self, batch: "_Batch") -> Iterable[str | None]:
        if self._trace is None:
            return repeat(None)
        found = batch.column(self._trace)
        traces = [text if type(text) is str and len(text) <= MAX_TRACE_CHARACTERS else None for text in found]
        batch.doubts.long(traces)
        return traces


class _Batch:
    """Records as msgspec typed them, column by column, and those of them in doubt."""

    def __init__(
        self, typed: Sequence[msgspec.Struct], datas: Sequence[bytes], arrivals_ms: Sequence[int]
    ) -> None:
        self.datas, self.arrivals_ms, self._typed = datas, arrivals_ms, typed
        self.doubts = Doubts(list(map(len, datas)))
        self._columns = list(zip(*map(msgspec.structs.astuple, typed), strict=True))

    def column(self, places: Sequence[int]) -> Sequence[Any]:
        """Of each record what `Shape.add` found a place for."""
        first, *rest = places
        return record_shape.inner(self._columns[first], rest)

    def part(self, rows: Sequence[int]) -> "_Batch":
        """Some of the records, none in doubt yet."""
        typed, datas = [self._typed[row] for row in rows], [self.datas[row] for row in rows]
        return _Batch(typed, datas, [self.arrivals_ms[row] for row in rows])


def _are_utf8(datas: Sequence[bytes]) -> bool:
    """Whether every record is UTF-8: a line break ends any character, so that one look at all is enough."""
    together = b"\n".join(datas)
    try:
        return together.isascii() or bool(str(together, "utf-8"))
    except UnicodeDecodeError:
        return False


def _rows(columns: Sequence[Sequence[Any]]) -> Iterable[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else repeat(())
