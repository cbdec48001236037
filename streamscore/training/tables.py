"""EVENTS files as tables that mean exactly what the same records on the stream would mean.

Whole columns are converted at once; a row that this cannot settle goes through the stream's own decoder, so
both give the same values and the same refusals.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from common.errors import InvalidInputError
from stream_features.spec_model import Spec
from streamscore.training.rows import Refusal, decode_rows, read_json_lines
from streamscore.training.sources import JSON_LINES, frames
from streamscore.training.table_values import settled, source_columns

CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class Table:
    """Accepted rows, in file order, and what was refused.

    Columns: the id, the entities and strings as text, the time as epoch milliseconds (Int64), decimals and
    ints as integers × 10^digits (Int64), floats, booleans, and the label (Boolean) if the file has it.
    """

    rows: pl.DataFrame
    refusals: list[Refusal]


def read_events(path: Path, spec: Spec) -> Iterator[pl.DataFrame]:
    """The file's events in the order of time (stable), in chunks; decimals are Decimal(38, digits).

    InvalidInputError if any row would be refused on the stream.
    """
    rows = pl.concat(accepted(path, spec)).sort(spec.event.time, maintain_order=True)
    rows = decimal_columns(rows, spec)
    for start in range(0, rows.height, CHUNK_ROWS):
        yield rows.slice(start, CHUNK_ROWS)


def accepted(path: Path, spec: Spec, rows: int = CHUNK_ROWS) -> Iterator[pl.DataFrame]:
    """The rows in file order, about `rows` a time, decimals scaled; InvalidInputError at a refused row."""
    for table in read_tables(path, spec, rows):
        if table.refusals:
            first = table.refusals[0]
            more = f" (and at least {len(table.refusals) - 1:,} more)" if len(table.refusals) > 1 else ""
            raise InvalidInputError(
                f"{path}:{first.line}: {first.message}{more}; `streamscore check {path}` lists them all"
            )
        yield table.rows


def read_table(path: Path, spec: Spec) -> Table:
    """Every row of a .csv, .csv.gz, .csv.xz, .jsonl or .parquet file, converted or refused."""
    tables = list(read_tables(path, spec))
    return Table(pl.concat(table.rows for table in tables), [r for table in tables for r in table.refusals])


def read_tables(path: Path, spec: Spec, rows: int = CHUNK_ROWS) -> Iterator[Table]:
    """The same, about `rows` rows a time; at least one table."""
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file")
    if path.name.endswith(JSON_LINES):
        yield from (Table(*decoded) for decoded in read_json_lines(path, spec, rows))
        return
    for frame in frames(path, rows, lambda schema: source_columns(path, schema, spec)):
        yield _converted(frame, spec)


def _converted(frame: pl.DataFrame, spec: Spec) -> Table:
    rows = settled(frame, spec)
    if rows["@settled"].all():
        return Table(rows.drop("@line", "@settled"), [])
    doubtful = rows.filter(~pl.col("@settled"))["@line"]
    decoded, refusals = decode_rows(frame.filter(pl.col("@line").is_in(doubtful.implode())), spec)
    both = pl.concat([rows.filter("@settled").drop("@settled"), decoded.select(rows.columns[:-1])])
    return Table(both.sort("@line").drop("@line"), refusals)


def decimal_columns(rows: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """The same rows with decimals as decimals."""
    return rows.with_columns(
        (
            pl.col(field.name).cast(pl.Decimal(38, field.digits))
            / pl.lit(10**field.digits).cast(pl.Decimal(38, field.digits))
        ).alias(field.name)
        for field in spec.event.fields
        if field.kind == "decimal"
    )
