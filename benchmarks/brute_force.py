"""Backfilled features against a brute force over the raw file, on sampled rows.

    python benchmarks/brute_force.py EVENTS [--spec SPEC] [--rows 20000]

Shares no code with the kernel, the tables or the tests' oracle: csv rows, Decimal, Fraction, loops. Knows
the operations of the card-fraud set-up only. Exit code 1 if one value differs in one bit.
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
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np

from stream_features.spec import Feature, Spec, parse
from streamscore.training.backfill import backfill

OPEN = {".xz": lzma.open, ".gz": gzip.open}


def read(path: Path, spec: Spec) -> list[dict[str, object]]:
    """Rows by time: id, time in ms, entity values, cents of each field, fraud."""
    opened = OPEN.get(path.suffix, open)
    with opened(path, "rb") as raw:
        rows = list(csv.DictReader(io.TextIOWrapper(raw, "utf-8")))
    for row in rows:
        moment = datetime.fromisoformat(row[spec.event.time].replace("Z", ""))
        row["@ms"] = round(
            (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000
        )
        row["@fraud"] = row[spec.event.label] in {"1", "true"}
        for field in spec.event.fields:
            row["@" + field.name] = Fraction(round(Decimal(row[field.name]), field.digits))
    return sorted(rows, key=lambda row: row["@ms"])


def value(feature: Feature, spec: Spec, row: dict, place: int, mine: list[tuple[int, dict]]) -> float:
    """One feature of one row; `mine` are its entity's rows with their places."""
    moment = datetime.fromtimestamp(row["@ms"] / 1000, tz=UTC)
    if feature.entity is None:
        return {
            "value": lambda: float(row["@" + str(feature.of)]),
            "is_weekend": lambda: float(moment.isoweekday() in {6, 7}),
            "hour_between": lambda: float(feature.hours[0] <= moment.hour <= feature.hours[1]),
        }[feature.op]()
    end = row["@ms"] - feature.delay_ms
    seen = [r for p, r in mine if p <= place and end - feature.window_ms < r["@ms"] <= end]
    if feature.op == "count":
        return float(len(seen))
    if feature.op == "mean":
        return float(sum(r["@" + str(feature.of)] for r in seen) / len(seen))
    known = [r for r in seen if r["@fraud"] and r["@ms"] + spec.event.label_known_after_ms <= row["@ms"]]
    assert feature.op == "label_rate", feature.op
    return len(known) / len(seen) if seen else feature.default


def main() -> int:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("events", type=Path)
    arguments.add_argument("--spec", type=Path, default=Path(__file__).parents[1] / "src" / "features.toml")
    arguments.add_argument("--rows", type=int, default=20_000)
    given = arguments.parse_args()
    spec = parse(given.spec.read_text())
    started = time.process_time()
    result = backfill(spec, given.events)
    print(f"backfill: {len(result.ids):,} events in {time.process_time() - started:.2f} s CPU, file included")
    rows = read(given.events, spec)
    owned = {e.name: defaultdict(list) for e in spec.entities}
    for place, row in enumerate(rows):
        for entity in spec.entities:
            owned[entity.name][row[entity.field]].append((place, row))
    wrong = defaultdict(int)
    chosen = random.Random(0).sample(range(len(rows)), min(given.rows, len(rows)))
    for place in chosen:
        row = rows[place]
        assert result.ids[place] == row[spec.event.id]
        for i, feature in enumerate(spec.features):
            entity = next((e for e in spec.entities if e.name == feature.entity), None)
            mine = owned[entity.name][row[entity.field]] if entity else []
            want, have = np.float32(value(feature, spec, row, place, mine)), result.features[place, i]
            wrong[feature.name] += not (want == have or (math.isnan(want) and math.isnan(have)))
    for name in spec.feature_names:
        print(f"{name:40} {len(chosen) - wrong[name]:,} of {len(chosen):,} equal")
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
