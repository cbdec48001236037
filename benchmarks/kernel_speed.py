"""How fast the kernel folds, in CPU time, on a simulated history with the features that ship.

    python benchmarks/kernel_speed.py [--days 60] [--batch 500]

Whole history as one batch, then its last tenth in batches: JSON decode, columns, fold (which decodes and
encodes the state blobs). Figures of one machine; compare ratios in one run only.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from itertools import batched
from pathlib import Path

import numpy as np

from stream_features.events import Event, Label, decoder
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec, parse
from streamscore.producer.records import Selection, records
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.backfill import backfill
from streamscore.training.tables import read_events

ARRIVAL_MS = 2**53


class Laps:
    """CPU seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__[T](self, name: str, work: Callable[[], T]) -> T:
        started = time.process_time()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - started
        return result

    def show(self, count: int, unit: str) -> None:
        for name, seconds in [*self.seconds.items(), ("all", sum(self.seconds.values()))]:
            print(f"  {name:10} {1e6 * seconds / count:8.2f} us a {unit} {count / seconds:12,.0f} {unit}s/s")


def grouped(
    spec: Spec, batch: list[Event | Label], states: list[dict[str, bytes]]
) -> list[tuple[Group, list[str]]]:
    found = []
    for place, known in enumerate(states):
        codes: dict[str, int] = {}
        numbers = [codes.setdefault(record.entities[place], len(codes)) for record in batch]
        blobs = [known.get(name, b"") for name in codes]
        found.append((Group(np.array(numbers, np.int32), blobs, np.ones(len(batch), np.bool_)), list(codes)))
    return found


def stream(spec: Spec, data: list[bytes], size: int, states: list[dict[str, bytes]], laps: Laps) -> None:
    decode = decoder(spec).decode
    for some in batched(data, size, strict=False):
        batch = laps("decode", lambda some=some: [decode(one, ARRIVAL_MS) for one in some])
        columns = laps("columns", lambda batch=batch: Columns.from_records(spec, batch))
        groups = laps("group", lambda batch=batch: grouped(spec, batch, states))
        folded = laps("fold", lambda c=columns, g=groups: fold(spec, c, [group for group, _ in g]))
        for known, (_, names), blobs in zip(states, groups, folded.blobs, strict=True):
            known.update(zip(names, blobs, strict=True))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--days", type=int, default=60)
    arguments.add_argument("--batch", type=int, default=500)
    given = arguments.parse_args()
    spec = parse((Path(__file__).parents[1] / "src" / "features.toml").read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        to_frame(simulate(Scale(days=given.days, start=date(2024, 1, 1)), 0)).write_parquet(path)
        laps = Laps()
        result = laps("backfill", lambda: backfill(spec, path))
        print(f"whole history, file and labels included: {len(result.ids):,} events")
        laps.show(len(result.ids), "event")
        frames = list(read_events(path, spec))
    for labels in (False, True):
        data = [record.data for record in records(spec, frames, Selection(labels=labels))]
        warm = len(data) * 9 // 10
        states: list[dict[str, bytes]] = [{} for _ in spec.entities]
        stream(spec, data[:warm], 50_000, states, Laps())
        laps = Laps()
        stream(spec, data[warm:], given.batch, states, laps)
        print(f"batches of {given.batch}, {'events and their labels' if labels else 'events'}, warm")
        laps.show(len(data) - warm, "record")
        for entity, known in zip(spec.entities, states, strict=True):
            sizes = np.percentile([len(blob) for blob in known.values()], [50, 99, 100]).astype(int)
            print(f"  {entity.name} state bytes p50 {sizes[0]:,} p99 {sizes[1]:,} max {sizes[2]:,}")


if __name__ == "__main__":
    main()
