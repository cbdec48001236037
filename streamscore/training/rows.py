"""Rows of a file, one by one, through the stream's own decoder."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import batched
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from common.errors import RecordRefusedError
from stream_features.entity_ids import unhashed
from stream_features.events import Decoded, Event, decoder
from stream_features.spec_model import Field, Spec
from streamscore.training.sources import refused

_NUMBER = re.compile(r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$", re.ASCII)
LABEL_TIME = "label_time"
ANSWERS = {b"true": True, b"false": False, b"1": True, b"0": False, b"1.0": True, b"0.0": False}
_NEVER_EARLY_MS = 2**53  # a file's rows have no arrival: none is too old or too far ahead
_COLUMN_TYPES = {
    "decimal": pl.Int64,
    "int": pl.Int64,
    "float": pl.Float64,
    "bool": pl.Boolean,
    "string": pl.String,
}


@dataclass(frozen=True)
class Refusal:
    """A row that the stream would refuse."""

    line: int
    reason: str
    message: str


def decode_rows(frame: pl.DataFrame, spec: Spec) -> tuple[pl.DataFrame, list[Refusal]]:
    """The rows of `frame` (with their ``@line``) as JSON records, decoded; a table and what was refused."""
    records = ((int(row["@line"]), record_of(row, spec)) for row in frame.iter_rows(named=True))
    return _decoded(records, spec)


def read_json_lines(path: Path, spec: Spec, rows: int) -> Iterator[tuple[pl.DataFrame, list[Refusal]]]:
    """A file of one record a line, `rows` records a time; empty lines are ignored."""
    with refused(path), path.open("rb") as lines:
        numbered = ((number, line.strip()) for number, line in enumerate(lines, start=1))
        records, empty = ((number, line) for number, line in numbered if line), True
        for some in batched(records, rows, strict=False):
            decoded, refusals = _decoded(some, spec)
            yield decoded.drop("@line"), refusals
            empty = False
        if empty:
            yield _decoded((), spec)[0].drop("@line"), []


def _decoded(records: Iterable[tuple[int, bytes]], spec: Spec) -> tuple[pl.DataFrame, list[Refusal]]:
    ageless = msgspec.structs.replace(spec, event=msgspec.structs.replace(spec.event, max_age_ms=None))
    rows, refusals, numbered = [], [], list(records)
    datas = [data for _, data in numbered]
    found = decoder(unhashed(ageless)).decode_all(datas, [_NEVER_EARLY_MS] * len(datas))
    for (line, data), record in zip(numbered, found, strict=True):
        try:
            rows.append((line, *_row(record, data, spec)))
        except RecordRefusedError as error:
            refusals.append(Refusal(line, error.reason, str(error)))
    return pl.DataFrame(rows, schema=_schema(spec), orient="row"), refusals


def _row(event: Decoded, data: bytes, spec: Spec) -> list[Any]:
    """The values of one record in the order of `_schema`."""
    if isinstance(event, RecordRefusedError):
        raise event
    if not isinstance(event, Event):
        raise RecordRefusedError(
            "bad_label", "type: a label record; in EVENTS the label is a column of its event"
        )
    found = {spec.event.id: event.id, spec.event.time: event.time_ms}
    found |= {field.name: value for field, value in zip(spec.event.fields, event.values, strict=True)}
    found |= {entity.field: value for entity, value in zip(spec.entities, event.entities, strict=True)}
    if spec.event.label:
        found[spec.event.label] = _label(data, spec.event.label)
    if spec.event.trace:
        found[spec.event.trace] = event.trace
    return [found[name] for name in list(_schema(spec))[1:]]


def _schema(spec: Spec) -> dict[str, Any]:
    event = spec.event
    columns: dict[str, Any] = {"@line": pl.UInt32, event.id: pl.String}
    columns |= {entity.field: pl.String for entity in spec.entities}
    columns[event.time] = pl.Int64
    columns |= {field.name: _COLUMN_TYPES[field.kind] for field in event.fields if field.name not in columns}
    columns |= {event.label: pl.Boolean} if event.label else {}
    return columns | ({event.trace: pl.String} if event.trace else {})


def _label(data: bytes, name: str) -> bool | None:
    raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get(name)
    text = b"null" if raw is None else bytes(raw)
    if text != b"null" and text not in ANSWERS:
        raise RecordRefusedError("bad_label", f"{name}: expected true or false")
    return ANSWERS.get(text)


def record_of(row: dict[str, Any], spec: Spec) -> bytes:
    """The JSON record that a row of a table stands for; what is null is left out."""
    record: dict[str, Any] = {}
    fields = spec.fields
    for name, value in row.items():
        if value is None or name == "@line":
            continue
        if name in fields:
            _place(record, fields[name], _field_json(fields[name], value))
        elif name == spec.event.label:
            record[name] = msgspec.Raw(_answer_json(value))
        else:
            record[name] = _time_json(value) if name in {spec.event.time, LABEL_TIME} else _plain(value)
    return msgspec.json.encode(record)


def _place(record: dict[str, Any], field: Field, value: Any) -> None:
    for key in field.path[:-1]:
        record = record.setdefault(key, {})
    if value is not None:
        record[field.path[-1]] = value


def _field_json(field: Field, value: Any) -> Any:
    """Text of a number becomes a number, of a truth value a truth value; a float's NaN is a missing value."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and field.kind in {"decimal", "int", "float"}:
        return _numeric(value)
    if isinstance(value, str) and field.kind == "bool" and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return _plain(value)


def _time_json(value: Any) -> Any:
    return _numeric(value) if isinstance(value, str) else _plain(value)


def _numeric(text: str) -> Any:
    if _NUMBER.match(text):
        return msgspec.Raw(text.encode())
    return msgspec.Raw(b"NaN") if text.lower().strip("+-") in {"nan", "inf", "infinity"} else text


def _plain(value: Any) -> Any:
    """A value of a typed file as JSON can say it."""
    if isinstance(value, Decimal):
        return msgspec.Raw(format(value, "f").encode())
    if isinstance(value, float) and not math.isfinite(value):
        return msgspec.Raw(b"NaN")
    return value if isinstance(value, str | int | float) else json.loads(json.dumps(value, default=str))


def _answer_json(value: Any) -> bytes:
    text = str(value).lower()
    return text.encode() if text.encode() in ANSWERS else b'"?"'
