"""EVENTS files as tables that mean exactly what the same records on the stream would mean.

Whole columns are converted at once; a row that this cannot settle goes through the stream's own decoder, so
both give the same values and the same refusals.
"""

import io
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from common.errors import InvalidInputError
from stream_features.spec_model import Spec
from streamscore.training.rows import Refusal, decode_rows, read_json_lines
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
    rows = decimal_columns(accepted(path, spec), spec)
    for start in range(0, rows.height, CHUNK_ROWS):
        yield rows.slice(start, CHUNK_ROWS)


def accepted(path: Path, spec: Spec) -> pl.DataFrame:
    """All rows in the order of time (stable), decimals scaled; else InvalidInputError names a refused row."""
    table = read_table(path, spec)
    if table.refusals:
        first = table.refusals[0]
        more = f" (and {len(table.refusals) - 1:,} more rows)" if len(table.refusals) > 1 else ""
        raise InvalidInputError(
            f"{path}:{first.line}: {first.message}{more}; `streamscore check {path}` lists them all"
        )
    return table.rows.sort(spec.event.time, maintain_order=True)


def read_table(path: Path, spec: Spec) -> Table:
    """Every row of a .csv, .csv.gz, .csv.xz, .jsonl or .parquet file, converted or refused."""
    if not path.is_file():
        raise InvalidInputError(f"{path}: no such file")
    if path.name.endswith((".jsonl", ".ndjson")):
        rows, refusals = read_json_lines(path, spec)
        return Table(rows, refusals)
    frame = _frame(path).with_row_index("@line", offset=1 if path.suffix == ".parquet" else 2)
    frame = frame.select("@line", *source_columns(path, frame, spec))
    rows = settled(frame, spec)
    doubtful = rows.filter(~pl.col("@settled"))["@line"]
    if doubtful.is_empty():
        return Table(rows.drop("@line", "@settled"), [])
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


def _frame(path: Path) -> pl.DataFrame:
    """The file's columns; those of text formats are all text."""
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        if path.name.endswith(".csv.xz"):
            return pl.read_csv(io.BytesIO(lzma.decompress(path.read_bytes())), infer_schema=False)
        if path.name.endswith((".csv", ".csv.gz")):
            return pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, lzma.LZMAError, EOFError, OSError) as error:
        raise InvalidInputError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    raise InvalidInputError(f"{path}: not an EVENTS file; use .csv, .csv.gz, .csv.xz, .jsonl or .parquet")
