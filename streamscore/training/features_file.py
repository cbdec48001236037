"""FEATURES tables as Parquet, written while the next rows are still being computed."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from queue import Full, Queue
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

ROW_GROUP_ROWS = 262_144
_LOOK_S = 0.5


def write_frames(frames: Iterator[pl.DataFrame], output: Path) -> None:
    """Write at least one frame, all of one schema, to `output`; memory holds about three of them.

    The frames are made in the caller's thread. (Polars would pull them in ever other threads, each of which
    keeps what memory it once had.) What breaks off, here or there, leaves a file without meaning.
    """
    first = next(frames)
    waiting: Queue[pl.DataFrame | None] = Queue(1)

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        while (frame := waiting.get()) is not None:
            yield frame

    table = register_io_source(source, schema=first.schema)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(
            lambda: table.sink_parquet(output, row_group_size=ROW_GROUP_ROWS, compression_level=1)
        )
        try:
            for frame in chain((first,), frames):
                _hand_over(frame, waiting, written)
        finally:
            _hand_over(None, waiting, written)
        written.result()


def _hand_over(
    frame: pl.DataFrame | None, waiting: Queue[pl.DataFrame | None], written: Future[None]
) -> None:
    """Wait until there is room, for as long as someone reads."""
    while not written.done():
        try:
            waiting.put(frame, timeout=_LOOK_S)
            return
        except Full:
            continue
    if frame is not None:
        written.result()
