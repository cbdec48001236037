"""How a backfill's time and memory grow with the file: three sizes, each in a process of its own.

    python benchmarks/backfill_scale.py [--events 1e6 3e6 1e7] [--shuffled] [--folder /tmp]

A tenth as many entities as events, four fifths of them customers, over 180 days; the features that ship. The
peak of resident memory and the CPU time are those of the whole process, imports and both reads and writes of
Parquet included. Figures of one machine; compare ratios in one run only.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from stream_features.spec import parse
from streamscore.training.backfill import write_features

FEATURES = Path(__file__).parents[1] / "src" / "features.toml"
DAYS, START_MS = 180, 1_704_067_200_000
FRAUD = 0.01
MEBIBYTE_KIB = 1024


def generate(path: Path, events: int, shuffled: bool) -> None:
    """Events of which a customer's or terminal's share falls with the square root of its number."""
    rng = np.random.default_rng(0)
    entities = {"customer_id": events * 8 // 100, "terminal_id": events * 2 // 100}
    columns = {name: (count * rng.random(events) ** 2).astype(np.int64) for name, count in entities.items()}
    time_ms = START_MS + np.sort(rng.integers(0, DAYS * 86_400_000, events))
    frame = pl.DataFrame({"event_time": time_ms, **columns}).with_row_index("transaction_id")
    frame = frame.with_columns(
        pl.Series("amount", rng.integers(100, 50_000, events)).cast(pl.Decimal(18, 2)) / 100,
        pl.Series("is_fraud", rng.random(events) < FRAUD),
    )
    if shuffled:
        frame = frame.gather(rng.permutation(events))
    frame.with_columns(
        pl.format("tx{}", "transaction_id").alias("transaction_id"),
        pl.format("C{}", "customer_id").alias("customer_id"),
        pl.format("T{}", "terminal_id").alias("terminal_id"),
        pl.col("event_time").cast(pl.Datetime("ms")),
        pl.col("amount").cast(pl.Decimal(18, 2)),
    ).write_parquet(path)


def measure(path: Path, output: Path) -> str:
    """One backfill; its figures as a line of the table."""
    started = time.monotonic()
    replay = write_features(parse(FEATURES.read_text()), path, output)
    wall_s, used = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime
    entities, state = sum(map(len, replay.values)), sum(len(b) for blobs in replay.blobs for b in blobs)
    return (
        f"{replay.events:>11,} {entities:>10,} {wall_s:>8.1f} {cpu_s:>8.1f} {replay.events / cpu_s:>12,.0f}"
        f" {used.ru_maxrss / MEBIBYTE_KIB:>10,.0f} {state >> 20:>10,}"
    )


def main() -> None:
    """Print the table; with --measure, one line of it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--events", type=float, nargs="+", default=[1e6, 3e6, 1e7])
    arguments.add_argument("--shuffled", action="store_true")
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--measure", type=Path, nargs=2)
    given = arguments.parse_args()
    if given.measure:
        print(measure(*given.measure))
        return
    print("     events   entities   wall s    CPU s events/CPU s   peak MiB  state MiB")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path, output = Path(folder) / "events.parquet", Path(folder) / "features.parquet"
        for events in map(int, given.events):
            generate(path, events, given.shuffled)
            subprocess.run([sys.executable, __file__, "--measure", path, output], check=True)


if __name__ == "__main__":
    main()
