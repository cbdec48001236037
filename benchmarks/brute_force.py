"""Backfilled features against a brute force over the raw file, on sampled rows.

    python benchmarks/brute_force.py EVENTS.csv[.gz|.xz] [--spec SPEC] [--rows 20000] [--exact-events N]

Shares no code with the kernel, the tables or the tests' oracle: csv rows, Decimal, Fraction, loops. A window
begins and ends where docs/feature-spec.md says: at a tile where the newest `exact_events` do not reach. Exit
code 1 if one value differs in one bit. `handbook_every_op.toml` has every op but `ewma`.
"""

import argparse
import csv
import gzip
import io
import lzma
import math
import random
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np

from stream_features.spec import Feature, Spec, parse
from streamscore.training.backfill import backfill

OPEN = {".xz": lzma.open, ".gz": gzip.open}
NAN = float("nan")
MOST_DISTINCT = 128
HISTORY_MS = 90 * 86_400_000
TILES = ((12 * 3_600_000, 300_000), (12 * 86_400_000, 3_600_000), (2**62, 86_400_000))
PRECISE = Context(prec=60)

type Value = Fraction | str | bool | None


@dataclass(frozen=True)
class Event:
    """A row of the file; `values` are its fields and its entities' ids, by the names that features use."""

    id: str
    at_ms: int
    fraud: bool
    values: dict[str, Value]


def read(path: Path, spec: Spec) -> list[Event]:
    """The file's events by time, those of one time in the file's order."""
    with OPEN.get(path.suffix, open)(path, "rb") as raw:
        rows = list(csv.DictReader(io.TextIOWrapper(raw, "utf-8")))
    return sorted((_event(row, spec) for row in rows), key=lambda event: event.at_ms)


def _event(row: dict[str, str], spec: Spec) -> Event:
    moment = datetime.fromisoformat(row[spec.event.time].replace("Z", "")).replace(tzinfo=UTC)
    at_ms = round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    values: dict[str, Value] = {entity.name: row[entity.field] for entity in spec.entities}
    for field in spec.event.fields:
        values[field.name] = _value(field.kind, field.digits, row[field.name])
    return Event(row[spec.event.id], at_ms, row.get(spec.event.label or "") in {"1", "true"}, values)


def _value(kind: str, digits: int, text: str) -> Value:
    if text == "":
        return None
    if kind == "string":
        return text
    if kind == "bool":
        return text in {"1", "true"}
    return Fraction(round(Decimal(text), digits))


def moment_of(event: Event) -> datetime:
    return datetime.fromtimestamp(event.at_ms / 1000, tz=UTC)


ALONE: dict[str, Callable[[Feature, Event], float]] = {
    "value": lambda feature, event: float(event.values[str(feature.of)]),
    "is_weekend": lambda _, event: float(moment_of(event).isoweekday() in {6, 7}),
    "hour": lambda _, event: float(moment_of(event).hour),
    "weekday": lambda _, event: float(moment_of(event).weekday()),
    "hour_between": lambda feature, event: float(
        feature.hours[0] <= moment_of(event).hour <= feature.hours[1]
    ),
}


def holds(feature: Feature, event: Event) -> bool:
    return all(event.values[name] == value for name, value in feature.where)


def deviation(found: list[Fraction]) -> float:
    """Of a sample, n - 1 below; the root to sixty digits."""
    if len(found) < 2:
        return NAN
    mean = sum(found) / len(found)
    square = sum((value - mean) ** 2 for value in found) / (len(found) - 1)
    return float(PRECISE.sqrt(PRECISE.divide(Decimal(square.numerator), Decimal(square.denominator))))


MEASURES: dict[str, Callable[[list[Fraction]], float]] = {
    "sum": lambda found: float(sum(found, Fraction(0))),
    "mean": lambda found: float(sum(found) / len(found)) if found else NAN,
    "min": lambda found: float(min(found)) if found else NAN,
    "max": lambda found: float(max(found)) if found else NAN,
    "std": deviation,
}


def edge_ms(spec: Spec, event: Event, mine: list[Event], back_ms: int) -> int:
    """The first millisecond after t - back: to the tile, if the newest events before do not reach there."""
    edge = event.at_ms - back_ms + 1
    newest = mine[:-1][-spec.event.exact_events :]
    if len(mine) - 1 > len(newest) and newest[0].at_ms >= edge:
        size = next(size for age, size in TILES if back_ms < age)
        edge = edge // size * size
    return edge


def windowed(feature: Feature, spec: Spec, event: Event, mine: list[Event]) -> float:
    """A feature over a window; `mine` are the entity's events in order, this one the last."""
    first = edge_ms(spec, event, mine, feature.delay_ms + feature.window_ms)
    end = edge_ms(spec, event, mine, feature.delay_ms)
    seen = [e for e in mine if first <= e.at_ms < end and holds(feature, e)]
    if feature.op == "count":
        return float(len(seen))
    if feature.op in MEASURES:
        return MEASURES[feature.op]([e.values[feature.of] for e in seen if e.values[feature.of] is not None])
    if feature.op == "distinct":
        return float(min(len({e.values[feature.of] for e in seen} - {None}), MOST_DISTINCT))
    if feature.op == "is_new":
        return float(event.values[feature.of] not in [e.values[feature.of] for e in seen[:-1]])
    known = [e for e in seen if e.fraud and e.at_ms + spec.event.label_known_after_ms <= event.at_ms]
    if feature.op == "label_count":
        return float(len(known))
    assert feature.op == "label_rate", feature.op
    return len(known) / len(seen) if seen else NAN


def historic(feature: Feature, event: Event, mine: list[Event]) -> float:
    """A feature of this event and the one before."""
    if len(mine) < 2 or event.at_ms - mine[-2].at_ms >= HISTORY_MS:
        return NAN
    before = mine[-2]
    if feature.op == "since_last":
        return (event.at_ms - before.at_ms) / 1000
    if feature.op == "last":
        return float(before.values[feature.of])
    assert feature.op == "same_as_last", feature.op
    return float(before.values[feature.of] == event.values[feature.of])


def wanted(feature: Feature, spec: Spec, event: Event, mine: list[Event]) -> float:
    """The feature by its definition."""
    if feature.entity is None:
        found = ALONE[feature.op](feature, event)
    elif feature.window_ms:
        found = windowed(feature, spec, event, mine)
    else:
        found = historic(feature, event, mine)
    return feature.default if math.isnan(found) and feature.default is not None else found


def histories(spec: Spec, events: list[Event]) -> dict[str, dict[Value, list[int]]]:
    """For each entity and value the places of its events."""
    owned: dict[str, dict[Value, list[int]]] = {e.name: defaultdict(list) for e in spec.entities}
    for place, event in enumerate(events):
        for name, mine in owned.items():
            mine[event.values[name]].append(place)
    return owned


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("events", type=Path)
    arguments.add_argument("--spec", type=Path, default=Path(__file__).parents[1] / "src" / "features.toml")
    arguments.add_argument("--rows", type=int, default=20_000)
    arguments.add_argument("--exact-events", type=int, help="instead of the spec's")
    given = arguments.parse_args()
    spec = parse(given.spec.read_text())
    if given.exact_events:
        event = msgspec.structs.replace(spec.event, exact_events=given.exact_events)
        spec = msgspec.structs.replace(spec, event=event)
    started = time.process_time()
    result = backfill(spec, given.events)
    print(f"backfill: {len(result.ids):,} events in {time.process_time() - started:.2f} s CPU, file included")
    events = read(given.events, spec)
    assert all(first.at_ms <= last.at_ms for first, last in pairwise(events))
    owned = histories(spec, events)
    wrong: dict[str, int] = defaultdict(int)
    chosen = random.Random(0).sample(range(len(events)), min(given.rows, len(events)))
    for place in chosen:
        event = events[place]
        assert result.ids[place] == event.id
        mine = {}
        for name, values in owned.items():
            places = values[event.values[name]]
            mine[name] = [events[other] for other in places[: bisect_right(places, place)]]
        for column, feature in enumerate(spec.features):
            want = np.float32(wanted(feature, spec, event, mine.get(str(feature.entity), [])))
            have = result.features[place, column]
            wrong[feature.name] += not (want == have or (math.isnan(want) and math.isnan(have)))
    for name in spec.feature_names:
        print(f"{name:40} {len(chosen) - wrong[name]:,} of {len(chosen):,} equal")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
