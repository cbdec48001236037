"""How fast whole histories become features: our fold against data-frame engines, CPU time on one thread.

    python benchmarks/offline.py [--size 1000000]

Fourteen features of one entity (fourteen.toml) from columns in memory. Our fold also leaves every entity's
state. With exact_events = 1024 no window of this stream reaches tiles, and all must agree in every bit; with
the default, older edges are rounded to tiles, so fewer rows agree. `distinct` is 128 at most by definition:
the peers' counts are cut there. Exit code 1 if an exact row differs.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from side_by_side import Peer, machine, table
from streams import Stream, cards, columns, fourteen

from stream_features.columns import Group, Vectors
from stream_features.kernel import Folded, fold
from stream_features.spec import Spec

PEERS = tuple(Peer(name, "rolling.py", options=(name,)) for name in ("polars", "duckdb", "pandas"))
EXACT_EVENTS = 1024
MOST_DISTINCT = 128


def folded(spec: Spec, stream: Stream) -> tuple[Folded, float]:
    """The fold of the whole stream as one batch, and its CPU seconds."""
    batch = columns(stream)
    group = Group(
        stream.card.astype(np.int32), [b""] * int(stream.card.max() + 1), np.ones(len(stream), np.bool_)
    )
    started = time.process_time()
    found = fold(spec, batch, [group])
    return found, time.process_time() - started


def equal_share(ours: Vectors, theirs: Vectors) -> float:
    """Share of rows that are equal in every column, bit for bit (NaN equals NaN), the last one cut at 128."""
    theirs[:, -1] = np.minimum(theirs[:, -1], MOST_DISTINCT)
    return float(((ours == theirs) | (np.isnan(ours) & np.isnan(theirs))).all(axis=1).mean())


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--size", type=int, default=1_000_000)
    arguments.add_argument("--profile", action="store_true", help="the fold's functions by their own time")
    given = arguments.parse_args()
    stream = cards(given.size)
    if given.profile:
        with cProfile.Profile() as profile:
            folded(fourteen(), stream)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return 0
    ours, default_s = folded(fourteen(), stream)
    exact, exact_s = folded(fourteen(EXACT_EVENTS), stream)
    share = equal_share(exact.features, ours.features)
    rows: list[list[object]] = [
        ["ours, the default head", given.size / default_s, 1.0, f"{share:.2%}"],
        [f"ours, exact_events = {EXACT_EVENTS}", given.size / exact_s, exact_s / default_s, "100.00%"],
    ]
    agree = True
    with tempfile.TemporaryDirectory() as folder:
        saved, features = Path(folder) / "stream.npz", Path(folder) / "features.npy"
        stream.save(saved)
        for peer in PEERS:
            if peer.missing:
                rows.append([peer.name, peer.missing, "", ""])
                continue
            took = peer.run(saved, features)
            share = equal_share(exact.features, np.load(features))
            agree &= share == 1.0
            name = f"{peer.name} {took['version']}"
            rows.append([name, given.size / took["all_s"], took["all_s"] / default_s, f"{share:.2%}"])
    print(machine() + "\n")
    print(
        table([f"engine, {given.size:,} events", "events/s", "ours ×", "rows equal to exact windows"], rows)
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
