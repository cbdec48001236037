"""Bytewax `stateful_map` around the plain Python ring, one worker: peer for `online.py`.

python bytewax_map.py STREAM.npz WARM FEATURES.npy
"""

import sys
from importlib.metadata import version

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main
from exact_ring import Ring
from stopwatch import Stopwatch


def step(ring: Ring | None, event: tuple[int, int, int, int]) -> tuple[Ring, tuple[int, list[float]]]:
    ring = ring or Ring()
    return ring, (event[3], ring.add(*event[:3]))


def main(path: str, warm: str, features: str) -> None:
    stream = np.load(path)
    columns = [stream[name].tolist() for name in ("card", "time_ms", "cents", "terminal")]
    events = [(str(card), (*row, place)) for place, (card, *row) in enumerate(zip(*columns, strict=True))]
    watch, found = Stopwatch(int(warm)), []
    flow = Dataflow("ring")
    keyed = op.input("in", flow, TestingSource(watch.over(events), batch_size=500))
    op.output("out", op.stateful_map("ring", keyed, step), TestingSink(found))
    run_main(flow)
    watch.report(version("bytewax"))
    found = sorted(row for _, row in found)
    np.save(features, np.array([values for _, values in found], np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
