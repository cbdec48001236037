"""EVENTS files as raw tables, a stretch of rows at a time, so that a file may be larger than memory."""

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import polars as pl

from common.errors import InvalidInputError

Pick = Callable[[pl.Schema], list[pl.Expr]]
JSON_LINES = (".jsonl", ".ndjson")
_CSV: dict[str, Callable[..., Any]] = {".csv": open, ".csv.gz": gzip.open, ".csv.xz": lzma.open}
_READ_BYTES, _LEAST_BYTES, _ROW_BYTES = 4 << 20, 4 << 10, 64  # at a time; the last is a guess
_LONGEST_ROW_BYTES = 64 << 20


def frames(path: Path, rows: int, pick: Pick) -> Iterator[pl.DataFrame]:
    """The columns that `pick` takes of the file's schema, about `rows` rows a time; at least one frame.

    ``@line`` numbers the rows: from 1 in Parquet, from 2, after the header, in CSV, whose values are text.
    InvalidInputError if the file cannot be read.
    """
    with refused(path):
        if path.suffix == ".parquet":
            yield from _parquet(path, rows, pick)
            return
        opened = next((open_ for ending, open_ in _CSV.items() if path.name.endswith(ending)), None)
        if opened is None:
            raise InvalidInputError(
                f"{path}: not an EVENTS file; use .csv, .csv.gz, .csv.xz, .jsonl or .parquet"
            )
        with opened(path, "rb") as file:
            yield from _csv(path, file, rows, pick)


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """What goes wrong in reading `path`, in one line."""
    try:
        yield
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, lzma.LZMAError, zlib.error, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is empty"
        raise InvalidInputError(f"{path}: cannot be read: {reason}") from error


def _parquet(path: Path, rows: int, pick: Pick) -> Iterator[pl.DataFrame]:
    table = pl.scan_parquet(path)
    columns = pick(table.collect_schema())
    first, empty = 1, True
    for frame in table.select(columns).collect_batches(chunk_size=rows, maintain_order=True):
        yield frame.with_row_index("@line", first)
        first, empty = first + frame.height, False
    if empty:
        yield table.select(columns).head(0).collect().with_row_index("@line", first)


def _csv(path: Path, file: IO[bytes], rows: int, pick: Pick) -> Iterator[pl.DataFrame]:
    header, first = file.readline(), 2
    waiting: list[pl.DataFrame] = []
    for block in _whole_rows(path, file, min(_READ_BYTES, max(_LEAST_BYTES, rows * _ROW_BYTES))):
        frame = pl.read_csv(header + block, infer_schema=False)
        frame = frame.select(pick(frame.schema)).with_row_index("@line", first)
        first += frame.height
        waiting.append(frame)
        if sum(one.height for one in waiting) >= rows:
            yield from pl.concat(waiting).iter_slices(rows)
            waiting = []
    if waiting or first == 2:
        yield pl.concat(waiting or [_csv_header(header, pick)])


def _csv_header(header: bytes, pick: Pick) -> pl.DataFrame:
    frame = pl.read_csv(header, infer_schema=False)
    return frame.select(pick(frame.schema)).with_row_index("@line", 2)


def _whole_rows(path: Path, file: IO[bytes], read_bytes: int) -> Iterator[bytes]:
    """Blocks that end with a row: at a line end outside of quotes, before which quotes come in pairs."""
    rest = b""
    while block := file.read(read_bytes):
        rest += block
        cut = rest.rfind(b"\n")
        while cut >= 0 and rest.count(b'"', 0, cut) % 2:
            cut = rest.rfind(b"\n", 0, cut)
        if cut < 0 and len(rest) > _LONGEST_ROW_BYTES:
            raise InvalidInputError(f"{path}: cannot be read: a quote is not closed within 64 MB")
        if cut >= 0:
            yield rest[: cut + 1]
            rest = rest[cut + 1 :]
    if rest:
        yield rest
