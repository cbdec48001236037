"""How fast a lane computes features: JSON decode, columns, fold, state codec, in batches; CPU time.

    python benchmarks/online.py [--size 300000] [--batch 500] [--exact-events 128]

One entity, fourteen features (fourteen.toml), the first `size` events of one stream. Ours decodes JSON and
reads and writes a state blob an entity and batch; the peers get ready tuples and keep live objects in memory,
which is less work. Bytewax cannot be installed for Python 3.13 and runs on 3.12.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from itertools import batched
from pathlib import Path

import numpy as np
from offline import equal_share
from side_by_side import BYTEWAX_PYTHON, Laps, Peer, machine, table
from streams import Stream, cards, fourteen, json_records

from stream_features import kernel
from stream_features.columns import Columns, Group, Vectors
from stream_features.events import decoder
from stream_features.spec import Spec

ARRIVAL_MS = 2**53
PHASES = ("JSON decode", "columns", "group", "blob decode", "features and new state", "blob encode")
PEERS = (
    Peer("bytewax stateful_map, 14 features", "bytewax_map.py", BYTEWAX_PYTHON),
    Peer("river Agg(TimeRolling), 6 features", "river_rolling.py"),
    Peer("plain Python, no framework, 14 features", "plain_ring.py"),
)


class Lane:
    """Batches of records through decoder, kernel and codec; states by entity value, as bytes."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.laps = spec, Laps()
        self._decode = decoder(spec).decode
        self._states: list[dict[str, bytes]] = [{} for _ in spec.entities]

    def run(self, records: Sequence[bytes], batch: int) -> Vectors:
        """The features of all records; adds to `laps`."""
        plain = kernel.decode, kernel.encode
        kernel.decode = self.laps.wrap("blob decode", kernel.decode)
        kernel.encode = self.laps.wrap("blob encode", kernel.encode)
        try:
            return np.concatenate([self._batch(some) for some in batched(records, batch, strict=False)])
        finally:
            kernel.decode, kernel.encode = plain

    def _batch(self, records: Sequence[bytes]) -> Vectors:
        lap = self.laps.lap
        with lap("JSON decode"):
            events = [self._decode(record, ARRIVAL_MS) for record in records]
        with lap("columns"):
            columns = Columns.from_records(self.spec, events)
        with lap("group"):
            found = [
                self._grouped(place, [event.entities[place] for event in events])
                for place in range(len(self._states))
            ]
        with lap("fold"):
            folded = kernel.fold(self.spec, columns, [group for group, _ in found])
        for states, (_, names), blobs in zip(self._states, found, folded.blobs, strict=True):
            states.update(zip(names, blobs, strict=True))
        return folded.features

    def _grouped(self, place: int, ids: Sequence[str]) -> tuple[Group, list[str]]:
        names = list(dict.fromkeys(ids))
        codes = {name: code for code, name in enumerate(names)}
        numbers = np.fromiter((codes[name] for name in ids), np.int32, len(ids))
        blobs = [self._states[place].get(name, b"") for name in names]
        return Group(numbers, blobs, np.ones(len(ids), np.bool_)), names


def by_phase(laps: Laps) -> dict[str, float]:
    """CPU seconds by PHASES: the kernel's own share is the fold less its codec."""
    seconds = dict(laps.seconds)
    own = seconds.pop("fold") - seconds["blob decode"] - seconds["blob encode"]
    return {phase: seconds.get(phase, own) for phase in PHASES}


def equal_rows(ours: Vectors, path: Path) -> str:
    """How many rows of a peer that computes all columns are equal, bit for bit."""
    theirs = np.load(path)
    return f"{equal_share(ours, theirs):.2%}" if theirs.shape == ours.shape else ""


def side_by_side(
    stream: Stream, warm: int, ours: Vectors, seconds: tuple[float, float]
) -> list[list[object]]:
    """A row an engine: events/s of the whole prefix and behind the warm part, and ours as a multiple."""
    size = len(stream)
    rows: list[list[object]] = [
        [
            "ours, JSON decode and blob codec included",
            size / seconds[0],
            1.0,
            (size - warm) / seconds[1],
            1.0,
            "",
        ]
    ]
    with tempfile.TemporaryDirectory() as folder:
        saved, features = Path(folder) / "stream.npz", Path(folder) / "features.npy"
        stream.save(saved)
        for peer in PEERS:
            if peer.missing:
                rows.append([peer.name, peer.missing, "", "", "", ""])
                continue
            took = peer.run(saved, warm, features)
            rows.append(
                [
                    f"{peer.name} ({took['version']})",
                    size / took["all_s"],
                    took["all_s"] / seconds[0],
                    (size - warm) / took["warm_s"],
                    took["warm_s"] / seconds[1],
                    equal_rows(ours, features),
                ]
            )
    return rows


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument(
        "--size", type=int, default=300_000, help="events, the last third is the warm part"
    )
    arguments.add_argument("--batch", type=int, default=500)
    arguments.add_argument("--exact-events", type=int, default=None)
    given = arguments.parse_args()
    stream = cards(given.size)
    records, warm = json_records(stream), given.size * 2 // 3 // given.batch * given.batch
    lane = Lane(fourteen(given.exact_events))
    started = time.process_time()
    first = lane.run(records[:warm], given.batch)
    lane.laps = Laps()
    warmed = time.process_time()
    ours = np.concatenate([first, lane.run(records[warm:], given.batch)])
    ended = time.process_time()
    count = given.size - warm
    phases = by_phase(lane.laps)
    print(machine())
    print(f"\nBatches of {given.batch}, store warm after {warm:,} events, {count:,} measured\n")
    rows = [[phase, 1e6 * took / count, 100 * took / sum(phases.values())] for phase, took in phases.items()]
    print(table(["phase", "µs CPU an event", "%"], [*rows, ["all", 1e6 * (ended - warmed) / count, 100.0]]))
    head = [
        f"engine, {given.size:,} events of one stream",
        "events/s",
        "ours ×",
        "warm events/s",
        "ours ×",
        "rows equal",
    ]
    print(table(head, side_by_side(stream, warm, ours, (ended - started, ended - warmed))))


if __name__ == "__main__":
    main()
