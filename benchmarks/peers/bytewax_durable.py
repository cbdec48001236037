"""Bytewax doing all that a lane of ours does: JSON in, and every batch's state durable before the next.

python bytewax_durable.py STREAM.npz WARM FEATURES.npy RECORDS.jsonl

An epoch a batch of 500, state snapshots to bytewax's own recovery store (SQLite, one partition, no sync).
"""

import sys
import tempfile
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import bytewax.operators as op
import msgspec
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, TestingSource, run_main
from exact_ring import Ring
from stopwatch import Stopwatch


class Event(msgspec.Struct, gc=False):
    transaction_id: str
    event_time: datetime
    card_id: str
    terminal_id: str
    amount: float


def keyed(event: Event) -> tuple[str, tuple[int, int, str, str]]:
    time_ms = round(event.event_time.timestamp() * 1000)
    return event.card_id, (time_ms, round(event.amount * 100), event.terminal_id, event.transaction_id)


def step(ring: Ring | None, event: tuple[int, int, str, str]) -> tuple[Ring, tuple[str, list[float]]]:
    ring = ring or Ring()
    return ring, (event[3], ring.add(*event[:3]))


def main(_stream: str, warm: str, features: str, records: str) -> None:
    lines = Path(records).read_bytes().splitlines()
    watch, found, decode = Stopwatch(int(warm)), [], msgspec.json.Decoder(Event).decode
    flow = Dataflow("ring")
    source = op.input("in", flow, TestingSource(watch.over(lines), batch_size=500))
    pairs = op.map("key", op.map("decode", source, decode), keyed)
    op.output("out", op.stateful_map("ring", pairs, step), TestingSink(found))
    with tempfile.TemporaryDirectory() as folder:
        init_db_dir(Path(folder), 1)
        run_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(folder))
        watch.report(version("bytewax"))
    rows = sorted(row for _, row in found)
    np.save(features, np.array([values for _, values in rows], np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
