"""Files of events and of features: do they name an entity, and what are they without it?"""

from pathlib import Path

import polars as pl

from common.errors import InvalidInputError
from streamscore.erasure.whom import Whom
from streamscore.training.sources import JSON_LINES, frames, refused

ROWS = 200_000


def rows_of(path: Path, whom: Whom) -> int:
    """How many rows of an EVENTS or FEATURES file name it; none of a file without its column.

    InvalidInputError if the file cannot be read.
    """
    if path.name.endswith(JSON_LINES):
        with refused(path), path.open("rb") as lines:
            return sum(whom.in_record(line) is True for line in lines)
    column = pl.col(whom.field)

    def named(schema: pl.Schema) -> list[pl.Expr]:
        return [_text(column, schema).is_in(whom.forms).alias("@it")] if whom.field in schema else [_NO]

    return sum(int(frame["@it"].sum()) for frame in frames(path, ROWS, named))


def without_rows(path: Path, whom: Whom, to: Path) -> int:
    """Write a Parquet file again without its rows; how many those were. If none, nothing is written."""
    count = rows_of(path, whom)
    if count:
        with refused(path):
            table = pl.scan_parquet(path)
            others = ~_text(pl.col(whom.field), table.collect_schema()).is_in(whom.forms).fill_null(False)
            table.filter(others).sink_parquet(to)
    return count


_NO = pl.lit(False).alias("@it")


def _text(column: pl.Expr, schema: pl.Schema) -> pl.Expr:
    kind = schema[column.meta.output_name()]
    if not (kind == pl.String or kind.is_integer()):
        raise InvalidInputError(f"{column.meta.output_name()}: is no id, but {kind}")
    return column.cast(pl.String)
