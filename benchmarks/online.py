"""How fast a lane computes features: JSON decode, columns, fold, state codec, in batches; CPU time.

    python benchmarks/online.py [--size 200000] [--batch 500] [--exact-events N]

One entity, fourteen features (fourteen.toml), the first `size` events of one stream. Ours reads JSON, and a
batch leaves each entity's state as bytes that could be written. Of the peers one does the same work: bytewax
with JSON in and its recovery store written every batch. The others get ready tuples and keep live objects in
memory; they are held against ours without JSON decode. Bytewax has no wheel for Python 3.13 and runs on 3.12.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

import numpy as np
from offline import equal_share
from side_by_side import BYTEWAX_PYTHON, Laps, Peer, machine, table
from streams import Stream, cards, fourteen, json_records

from stream_features import kernel
from stream_features.columns import Columns, Group, Vectors, numbered
from stream_features.events import Event, decoder
from stream_features.spec import Spec

ARRIVAL_MS = 2**53
PHASES = ("JSON decode", "columns", "group", "blob decode", "features and new state", "blob encode")
DURABLE = Peer("bytewax, JSON in, state durable every batch", "bytewax_durable.py", BYTEWAX_PYTHON)
PEERS = (
    DURABLE,
    Peer("bytewax stateful_map, tuples in, state in memory", "bytewax_map.py", BYTEWAX_PYTHON),
    Peer("river Agg(TimeRolling), tuples in, only 6 features", "river_rolling.py"),
    Peer("plain Python without a framework, tuples in", "plain_ring.py"),
)


class Lane:
    """Batches of records through decoder, kernel and codec; states by entity value, as bytes."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.laps = spec, Laps()
        self._decoder = decoder(spec)
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
            decoded = self._decoder.decode_all(records, [ARRIVAL_MS] * len(records))
            events = [event for event in decoded if isinstance(event, Event)]
        with lap("columns"):
            columns = Columns.from_records(self.spec, events)
        with lap("group"):
            ids = zip(*[event.entities for event in events], strict=True)
            found = [self._grouped(states, own) for states, own in zip(self._states, ids, strict=True)]
        with lap("fold"):
            folded = kernel.fold(self.spec, columns, [group for group, _ in found])
        for states, (_, names), blobs in zip(self._states, found, folded.blobs, strict=True):
            states.update(zip(names, blobs, strict=True))
        return folded.features

    @staticmethod
    def _grouped(states: dict[str, bytes], ids: Sequence[str]) -> tuple[Group, list[str]]:
        names, codes = numbered(ids)
        blobs = [states.get(name, b"") for name in names]
        return Group(codes, blobs, np.ones(len(ids), np.bool_)), names


def by_phase(laps: Laps) -> dict[str, float]:
    """CPU seconds by PHASES: the kernel's own share is the fold less its codec."""
    seconds = dict(laps.seconds)
    own = seconds.pop("fold") - seconds["blob decode"] - seconds["blob encode"]
    return {phase: seconds.get(phase, own) for phase in PHASES}


def equal_rows(ours: Vectors, path: Path) -> str:
    """How many rows of a peer that computes all columns are equal, bit for bit."""
    theirs = np.load(path)
    return f"{equal_share(ours, theirs):.2%}" if theirs.shape == ours.shape else ""


@dataclass(frozen=True)
class Took:
    """CPU seconds of ours over all events and over those behind the warm ones."""

    all_s: float
    warm_s: float


def side_by_side(
    stream: Stream, records: Sequence[bytes], warm: int, ours: tuple[Vectors, Took, Took]
) -> list[list[object]]:
    """A row an engine: events/s, and ours as a multiple of it on the same input.

    `ours`: the features, and what they took with and without JSON decode.
    """
    vectors, whole, decoded = ours
    rows = [
        _row("ours, JSON in, state as bytes every batch", stream, warm, whole, whole),
        _row("ours, without JSON decode", stream, warm, decoded, decoded),
    ]
    with tempfile.TemporaryDirectory() as folder:
        saved, features, lines = (
            Path(folder) / name for name in ("stream.npz", "features.npy", "lines.jsonl")
        )
        stream.save(saved)
        lines.write_bytes(b"\n".join(records))
        for peer in PEERS:
            if peer.missing:
                rows.append([peer.name, peer.missing, "", "", "", ""])
                continue
            same = (lines,) if peer is DURABLE else ()
            found = peer.run(saved, warm, features, *same)
            took = Took(found["all_s"], found["warm_s"])
            row = _row(f"{peer.name} ({found['version']})", stream, warm, took, whole if same else decoded)
            rows.append([*row[:-1], equal_rows(vectors, features)])
    return rows


def _row(name: str, stream: Stream, warm: int, took: Took, ours: Took) -> list[object]:
    size = len(stream)
    all_of_it = (size / took.all_s, took.all_s / ours.all_s)
    return [name, *all_of_it, (size - warm) / took.warm_s, took.warm_s / ours.warm_s, ""]


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument(
        "--size", type=int, default=200_000, help="events; the last third is the warm part"
    )
    arguments.add_argument("--batch", type=int, default=500)
    arguments.add_argument("--exact-events", type=int, default=None)
    given = arguments.parse_args()
    stream = cards(given.size)
    records, warm = json_records(stream), given.size * 2 // 3 // given.batch * given.batch
    lane = Lane(fourteen(given.exact_events))
    first = lane.run(records[:warm], given.batch)
    cold, lane.laps = by_phase(lane.laps), Laps()
    ours = np.concatenate([first, lane.run(records[warm:], given.batch)])
    phases, count = by_phase(lane.laps), given.size - warm
    warm_s = sum(phases.values())
    print(machine())
    print(f"\nBatches of {given.batch}, store warm after {warm:,} events, {count:,} measured\n")
    rows = [[phase, 1e6 * took / count, 100 * took / warm_s] for phase, took in phases.items()]
    print(table(["phase", "µs CPU an event", "%"], [*rows, ["all", 1e6 * warm_s / count, 100.0]]))
    whole = Took(warm_s + sum(cold.values()), warm_s)
    decode = "JSON decode"
    decoded = Took(whole.all_s - cold[decode] - phases[decode], warm_s - phases[decode])
    head = [f"engine, {given.size:,} events", "events/s", "ours ×", "warm events/s", "ours ×", "rows equal"]
    print(table(head, side_by_side(stream, records, warm, (ours, whole, decoded))))


if __name__ == "__main__":
    main()
