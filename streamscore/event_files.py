"""Writing EVENTS files: the format by the name's ending, whole or not at all."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import IO

import polars as pl

from common.errors import InvalidInputError
from streamscore.training.files import written_whole

Writer = Callable[[pl.DataFrame, IO[bytes]], None]


def write_events(frame: pl.DataFrame, path: Path) -> None:
    """Write ``frame`` to ``path``, beside it first and then renamed, so a reader never meets half a file.

    Raises InvalidInputError if the ending is none of ours or the folder is not there.
    """
    writer = next((write for ending, write in WRITERS.items() if path.name.endswith(ending)), None)
    if writer is None:
        raise InvalidInputError(f"{path}: unknown ending; use one of {' '.join(WRITERS)}")
    if not path.parent.is_dir():
        raise InvalidInputError(f"{path}: the folder {path.parent} does not exist; make it first")
    with written_whole(path) as beside, beside.open("wb") as file:
        writer(frame, file)


def _csv(frame: pl.DataFrame, file: IO[bytes]) -> None:
    frame.write_csv(file)


def _csv_gz(frame: pl.DataFrame, file: IO[bytes]) -> None:
    # No name and no time in the header: the same rows are the same bytes.
    with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        packed.write(frame.write_csv().encode())


def _csv_xz(frame: pl.DataFrame, file: IO[bytes]) -> None:
    with lzma.open(file, "wb", preset=2) as packed:
        packed.write(frame.write_csv().encode())


def _jsonl(frame: pl.DataFrame, file: IO[bytes]) -> None:
    """One object a row; decimals are JSON numbers with all their digits (polars writes strings)."""
    decimals = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Decimal)]
    head = pl.struct(pl.exclude(decimals)).struct.json_encode().str.strip_suffix("}")
    tail = [pl.format(',"{}":{}', pl.lit(name), pl.col(name).cast(pl.String)) for name in decimals]
    lines = frame.select(pl.concat_str(head, *tail, pl.lit("}\n")))
    file.writelines(line.encode() for line in lines.to_series())


def _parquet(frame: pl.DataFrame, file: IO[bytes]) -> None:
    frame.write_parquet(file)


WRITERS: dict[str, Writer] = {
    ".csv": _csv,
    ".csv.gz": _csv_gz,
    ".csv.xz": _csv_xz,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
