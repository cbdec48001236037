"""From the rows of an EVENTS file to records: events as JSON, and labels when they become known."""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl

from common import traceparent
from stream_features.spec_model import Field, Spec
from streamscore.producer.stream import Record

_encode = msgspec.json.Encoder().encode
RFC_3339 = "%Y-%m-%dT%H:%M:%S%.3fZ"


@dataclass(frozen=True)
class Selection:
    """Which records to make: those after ``since_ms`` only, their times moved by ``shift_ms``."""

    labels: bool = True
    since_ms: int | None = None
    shift_ms: int = 0


def records(
    spec: Spec,
    frames: Iterable[pl.DataFrame],
    selection: Selection,
    new_trace: Callable[[], str | None] = lambda: None,
) -> Iterator[Record]:
    """Events and labels in the order of time: a label at its event's time + label_known_after.

    ``frames`` are in the order of time; where a label and an event share an instant, the label comes first.
    An event whose row has no trace begins a trace by ``new_trace``, if the spec names a field for it.
    """
    waiting: deque[Record] = deque()
    with_labels = selection.labels and spec.event.label is not None
    after_ms = -1 if selection.since_ms is None else selection.since_ms + selection.shift_ms
    for frame in frames:
        for row in _timed(spec, frame, selection).iter_rows(named=True):
            while waiting and waiting[0].time_ms <= row["@time"]:
                yield waiting.popleft()
            if row["@time"] > after_ms:
                yield _event(spec, row, new_trace)
            if with_labels and row["@known"] > after_ms and row.get(spec.event.label or "") is not None:
                waiting.append(_label(spec, row))
    yield from waiting


def last_ms(spec: Spec, frames: Iterable[pl.DataFrame], labels: bool = True) -> int:
    """The time of the last record that `records` would make; 0 of nothing."""
    latest = 0
    for frame in frames:
        times = frame[spec.event.time]
        latest = max(latest, _last(times))
        if labels and spec.event.label in frame.columns:
            labelled = frame.filter(pl.col(spec.event.label).is_not_null())[spec.event.time]
            latest = max(latest, _last(labelled) + (spec.event.label_known_after_ms or 0))
    return latest


def _last(times: pl.Series) -> int:
    latest = times.max()
    return latest if isinstance(latest, int) else 0


def _timed(spec: Spec, frame: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    """The rows that give a record, with their times (epoch ms in ``@``, text as it goes on the stream)."""
    time = pl.col(spec.event.time) + selection.shift_ms
    known = time + (spec.event.label_known_after_ms or 0)
    frame = frame.with_columns(time.alias("@time"), known.alias("@known"))
    if selection.since_ms is not None:
        frame = frame.filter(pl.col("@known") > selection.since_ms + selection.shift_ms)
    return frame.with_columns(
        pl.from_epoch("@time", time_unit="ms").dt.strftime(RFC_3339).alias(spec.event.time),
        pl.from_epoch("@known", time_unit="ms").dt.strftime(RFC_3339).alias("@label_time"),
    )


def new_trace() -> str:
    """A W3C `traceparent` of a trace that begins now and is kept, in a form that X-Ray takes too."""
    return traceparent.new(time.time(), secrets.token_bytes(20))


def _event(spec: Spec, row: Mapping[str, Any], new_trace: Callable[[], str | None]) -> Record:
    record = _identity(spec, row)
    for field in spec.event.fields:
        value = row.get(field.name)
        if value is not None:
            place(record, field, _json_value(field, value))
    if spec.event.trace is not None and (trace := row.get(spec.event.trace) or new_trace()) is not None:
        record[spec.event.trace] = trace
    return Record(row["@time"], record[spec.entities[0].field], _encode(record))


def _label(spec: Spec, row: Mapping[str, Any]) -> Record:
    record = {
        "type": "label",
        **_identity(spec, row),
        spec.event.label or "": bool(row[spec.event.label or ""]),
        "label_time": row["@label_time"],
    }
    return Record(row["@known"], record[spec.entities[0].field], _encode(record), is_label=True)


def _identity(spec: Spec, row: Mapping[str, Any]) -> dict[str, Any]:
    names = (spec.event.id, spec.event.time, *(entity.field for entity in spec.entities))
    return {name: row[name] for name in names}


def place(record: dict[str, Any], field: Field, value: Any) -> None:
    """Put a value where the field's path says, in objects inside objects."""
    for name in field.path[:-1]:
        record = record.setdefault(name, {})
    record[field.path[-1]] = value


def _json_value(field: Field, value: Any) -> Any:
    """Decimals as a JSON number with exactly the digits they have; the rest as it is."""
    return msgspec.Raw(format(value, "f").encode()) if isinstance(value, Decimal) else value
