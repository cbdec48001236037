"""Whole columns of a file to the values the spec declares; what is not certain stays unsettled."""

from pathlib import Path
from typing import Any

import polars as pl
from polars import Expr

from common.errors import InvalidInputError
from stream_features.spec_model import Field, Spec
from stream_features.values import LIMIT, MAX_TEXT_BYTES
from streamscore.training.uniform_times import uniform_times

_RFC_3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]+)?[Zz]?$"
# Two decimals of up to 15 figures are at least 2^-50 apart, so within half of that there is one; what is
# longer and that near is the same decimal with the noise of some float64 arithmetic.
_SURE = 10**15
_NOISE = 2.0**-51


def source_columns(path: Path, schema: pl.Schema, spec: Spec) -> list[Expr]:
    """The columns the spec reads, under the spec's names; InvalidInputError if a required one is absent."""
    event = spec.event
    required = dict.fromkeys((event.id, event.time, *(entity.field for entity in spec.entities)))
    paths: dict[str, tuple[str, ...]] = {
        name: (name,) for name in (*required, event.label, event.trace) if name
    }
    for field in event.fields:
        plain = field.name in schema and not isinstance(schema[field.name], pl.Struct)
        paths.setdefault(field.name, (field.name,) if plain else field.path)
        if not field.optional:
            required[field.name] = None
    sources = {name: _source(schema, keys) for name, keys in paths.items()}
    absent = sorted(".".join(paths[name]) for name in required if sources[name] is None)
    if absent:
        has = f"{path}: no column {', '.join(absent)}; it has {', '.join(schema) or 'none'}"
        separated = len(schema) == 1 and any(mark in next(iter(schema)) for mark in ";\t|")
        raise InvalidInputError(f"{has}; separate values by commas" if separated else has)
    return [source.alias(name) for name, source in sources.items() if source is not None]


def _source(schema: pl.Schema, keys: tuple[str, ...]) -> Expr | None:
    """A value's column: named by its path with dots between, or a field of structs."""
    if (kind := schema.get(".".join(keys))) is not None:
        column = pl.col(".".join(keys))
        return column.cast(pl.String, strict=False) if kind == pl.Binary else column
    column, inside = pl.col(keys[0]), dict[str, Any](schema).get(keys[0])
    for key in keys[1:]:
        inside = dict(inside).get(key) if isinstance(inside, pl.Struct) else None
        column = column.struct.field(key)
    return None if inside is None else column


def settled(frame: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """`frame` converted, with a column ``@settled``: whether all of a row's values are certain."""
    event, schema = spec.event, frame.schema
    ids = dict.fromkeys((event.id, *(entity.field for entity in spec.entities)))
    values: dict[str, Expr] = {name: _identifier(pl.col(name), schema[name]) for name in ids}
    values[event.time] = _time(frame[event.time])
    required = list(values)
    for field in event.fields:
        if field.name in values:
            continue
        present = field.name in schema
        column = pl.col(field.name) if present else pl.lit(None)
        values[field.name] = _field(field, column, schema[field.name] if present else pl.Null())
        if not field.optional:
            required.append(field.name)
    if event.label and event.label in schema:
        values[event.label] = _answer(pl.col(event.label), schema[event.label])
    if event.trace and event.trace in schema:
        values[event.trace] = pl.col(event.trace).cast(pl.String)
    columns = [value.alias(name) for name, value in values.items()]
    converted = frame.select("@line", *columns)
    lost = [
        converted[name].is_null()
        & (frame[name].is_not_null() if name in schema and name not in required else True)
        for name in values
        if name != event.trace and (name in schema or name in required)
    ]
    doubtful = (
        pl.select(pl.any_horizontal(lost)).to_series() if lost else pl.repeat(False, frame.height, eager=True)
    )
    return converted.with_columns((~doubtful).alias("@settled"))


def _identifier(column: Expr, kind: pl.DataType) -> Expr:
    if kind.is_integer() or kind == pl.String:
        text = column.cast(pl.String)
        return pl.when(text.str.len_bytes().is_between(1, MAX_TEXT_BYTES)).then(text)
    return pl.lit(None, pl.String)


def _time(column: pl.Series) -> Expr:
    """Epoch milliseconds from text, integers (seconds below 10^11) or datetimes; null where unsure."""
    kind, values = column.dtype, pl.lit(column)
    if isinstance(kind, pl.Datetime):
        found = values.cast(pl.Datetime("us")).dt.epoch("us").floordiv(1000)
    elif kind.is_integer():
        number = values.cast(pl.Int64, strict=False)
        found = pl.when(number < 100_000_000_000).then(number * 1000).otherwise(number)
    elif kind == pl.String and (uniform := uniform_times(column)) is not None:
        found = pl.lit(uniform)
    elif kind == pl.String:
        found = pl.when(values.str.contains(_RFC_3339)).then(_rfc3339(values))
    else:
        return pl.lit(None, pl.Int64)
    return pl.when(found.is_between(0, LIMIT)).then(found)


def _rfc3339(column: Expr) -> Expr:
    second = column.str.slice(0, 10) + "T" + column.str.slice(11, 8)
    start = second.str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False, time_unit="ms").dt.epoch("ms")
    fraction = column.str.extract(r"\.([0-9]{1,3})").str.pad_end(3, "0").cast(pl.Int64, strict=False)
    return start + fraction.fill_null(0)


def _field(field: Field, column: Expr, kind: pl.DataType) -> Expr:
    match field.kind:
        case "decimal" | "int":
            return _fixed(column, kind, field.digits)
        case "float":
            return _number(column, kind)
        case "bool":
            return _boolean(column, kind)
        case "string":
            text = column.cast(pl.String) if kind == pl.String else pl.lit(None, pl.String)
            return pl.when(text.str.len_bytes() <= MAX_TEXT_BYTES).then(text)


def _fixed(column: Expr, kind: pl.DataType, digits: int) -> Expr:
    """Integers × 10^digits. A decimal with float64 noise (85.64999999999999) is that decimal."""
    if kind.is_integer():
        scaled = column.cast(pl.Int64, strict=False)
        bound = LIMIT // 10**digits
        return pl.when(scaled.is_between(-bound, bound)).then(scaled * 10**digits)
    if isinstance(kind, pl.Decimal):
        return _rescaled(column.to_physical(), digits - kind.scale)
    number = _number(column, kind)
    scaled = (number * 10**digits).round()
    noise = (scaled / 10**digits - number).abs()
    certain = (noise <= number.abs() * _NOISE) & (scaled.abs() < _SURE)
    return pl.when(certain).then(scaled.cast(pl.Int64, strict=False))


def _rescaled(scaled: Expr, more: int) -> Expr:
    """Integers × 10^more, where that is one and within bounds; `scaled` is Int128."""
    over, under = 10 ** max(more, 0), 10 ** max(-more, 0)
    bound = LIMIT // over * under
    whole = pl.when(scaled.is_between(-bound, bound)).then(scaled.floordiv(under) * over)
    return pl.when(whole * under == scaled * over).then(whole.cast(pl.Int64))


def _number(column: Expr, kind: pl.DataType) -> Expr:
    """float64 within ±2^53."""
    if not (kind.is_numeric() or kind == pl.String):
        return pl.lit(None, pl.Float64)
    number = column.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite() & (number.abs() <= LIMIT)).then(number)


def _boolean(column: Expr, kind: pl.DataType) -> Expr:
    if kind == pl.Boolean:
        return column
    if kind == pl.String:
        words = {"true": True, "false": False}
        return column.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    return pl.lit(None, pl.Boolean)


def _answer(column: Expr, kind: pl.DataType) -> Expr:
    """A label: true or false, 1 or 0."""
    if kind == pl.Boolean:
        return column
    if kind.is_numeric():
        return pl.when(column == 1).then(True).when(column == 0).then(False)
    if kind != pl.String:
        return pl.lit(None, pl.Boolean)
    words = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    text = column.cast(pl.String).str.to_lowercase()
    return text.replace_strict(words, default=None, return_dtype=pl.Boolean)
