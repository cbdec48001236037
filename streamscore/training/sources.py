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
    except (gzip.BadGzipFile, lzma.LZMAError) as error:
        raise InvalidInputError(
            f"{path}: is not compressed as its name says; if it is text, name it .csv"
        ) from error
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, zlib.error, EOFError) as error:
        raise InvalidInputError(f"{path}: cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line of a library's message, in the words of someone who has a file to mend."""
    text = str(error).splitlines()[0] if str(error) else "it is empty"
    if "utf-8" in text:
        return "it is not UTF-8; convert it, such as with iconv -f latin1 -t utf-8"
    return "a row has more values than the header has names" if "more fields" in text else text


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
    waiting = [_csv_rows(path, header, b"", first, pick)]
    for block in _whole_rows(path, file, min(_READ_BYTES, max(_LEAST_BYTES, rows * _ROW_BYTES))):
        waiting.append(_csv_rows(path, header, block, first, pick))
        first += waiting[-1].height
        if sum(one.height for one in waiting) >= rows:
            yield from _without_blank_lines(waiting).iter_slices(rows)
            waiting = []
    if waiting:
        yield _without_blank_lines(waiting)


def _csv_rows(path: Path, header: bytes, block: bytes, first: int, pick: Pick) -> pl.DataFrame:
    try:
        frame = pl.read_csv(header + block, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        where = f"lines {first} to {first + block.count(b'\n')}: " if block else ""
        raise InvalidInputError(f"{path}: cannot be read: {where}{_reason(error)}") from error
    blank = pl.all_horizontal(pl.all().is_null()).alias("@blank")
    return frame.select(blank, *pick(frame.schema)).with_row_index("@line", first)


def _without_blank_lines(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames).filter(~pl.col("@blank")).drop("@blank")


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
