"""The rows of an EVENTS file in the order of time, whatever order they lie in and however many they are."""

from collections.abc import Callable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from stream_features.spec_model import Spec
from streamscore.training.tables import accepted

CHUNK_ROWS = 1_000_000
_SAMPLES_A_RUN = 64
_RUN_GROUP_ROWS = 32_768


def in_time_order[T](
    path: Path,
    spec: Spec,
    work: Callable[[Iterator[pl.DataFrame]], T],
    rows: int = CHUNK_ROWS,
    scratch: Path | None = None,
) -> T:
    """What `work` makes of the file's rows by time (stable), about `rows` a time.

    A file that lies in order is read once. If it turns out not to, its rows are sorted on disk, in a folder
    in `scratch` (else where temporary files go) that is removed again, and `work` begins anew.
    """
    try:
        return work(_unless_late(accepted(path, spec, rows), spec.event.time))
    except _OutOfOrderError:
        with TemporaryDirectory(prefix=".streamscore-", dir=scratch) as folder:
            runs = _sorted_runs(accepted(path, spec, rows), spec.event.time, Path(folder))
            return work(_merged(runs, spec.event.time, rows))


class _OutOfOrderError(Exception):
    """A row is earlier than one before it."""


def _unless_late(chunks: Iterator[pl.DataFrame], time: str) -> Iterator[pl.DataFrame]:
    """The chunks as long as they are in order; a lone one is sorted on the spot."""
    first, second = next(chunks), next(chunks, None)
    if second is None:
        yield first.sort(time, maintain_order=True)
        return
    newest_ms = 0
    for chunk in chain((first, second), chunks):
        times_ms = chunk[time]
        if len(times_ms) and (times_ms[0] < newest_ms or not times_ms.is_sorted()):
            raise _OutOfOrderError
        newest_ms = times_ms[-1] if len(times_ms) else newest_ms
        yield chunk


def _sorted_runs(
    chunks: Iterator[pl.DataFrame], time: str, folder: Path
) -> list[tuple[pl.LazyFrame, pl.Series]]:
    """Each chunk sorted, as a file, and a sample of its times: all lie after one sample, up to the next."""
    runs = []
    for number, chunk in enumerate(chunks):
        run = folder / f"{number}.parquet"
        ordered = chunk.sort(time, maintain_order=True)
        ordered.write_parquet(run, compression="lz4", row_group_size=_RUN_GROUP_ROWS)
        sample = ordered[time].gather_every(max(1, ordered.height // _SAMPLES_A_RUN))
        runs.append((pl.scan_parquet(run), sample))
    return runs


def _merged(runs: list[tuple[pl.LazyFrame, pl.Series]], time: str, rows: int) -> Iterator[pl.DataFrame]:
    """The runs' rows, a stretch of time after the other; of equal times those of earlier runs first."""
    samples = pl.concat([sample for _, sample in runs]).sort()
    ends = samples.gather_every(_SAMPLES_A_RUN).unique(maintain_order=True).to_list()
    for after, until in pairwise([-1, *ends, 2**63 - 1]):
        inside = (pl.col(time) > after) & (pl.col(time) <= until)
        parts = pl.collect_all([run.filter(inside) for run, _ in runs])
        yield from pl.concat(parts).sort(time, maintain_order=True).iter_slices(2 * rows)
