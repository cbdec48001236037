"""What scoring on the stream costs: CPU by phase of a whole invocation, from the Lambda event to its metrics.

    python benchmarks/scoring_stream.py [--batch 500] [--batches 40] [--days 45]

The features and the default forest that ship, trained on the simulator's transactions; thresholds that
review or block five in a hundred, each with its reasons. Decisions and alerts go over HTTP to
benchmarks/table_server.py, whose CPU is not counted. Each record holds one row, the costliest case. Figures
are process time of this process, its threads included; compare those of one run only.
"""

import argparse
import io
import itertools
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from handler import Phases
from table_server import serving

from common.settings import Settings
from common.telemetry import observed
from scoring import bus, decisions, handler, judge
from scoring.model import Model
from scoring.policy import parse as parse_policy
from scoring.serving import Serving
from scoring.wiring import Wiring, wire
from stream_features.spec import Spec, parse
from stream_features.state import Out, Row, encode_out
from streamscore.local.emulator import CREDENTIALS
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.backfill import Backfilled, backfill
from streamscore.training.split import Windows
from streamscore.training.train import Alerts, Recipe, Table, fit

SOURCE = Path(__file__).parents[1] / "src"
FLAGGED = Alerts(review_share=0.05, block_share=0.01)
FIRST_SEQUENCE = 400_000_000_000_000_000_001
PHASES = ("decode", "model", "policy", "reasons", "items", "write", "publish", "other")


@dataclass
class Material:
    """What is scored, and by which model."""

    spec: Spec
    whole: Backfilled
    model: Model


def material(days: int) -> Material:
    """Features of simulated transactions, and the default model of them."""
    spec = parse((SOURCE / "features.toml").read_text())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.parquet"
        to_frame(simulate(Scale(500, 1000, days, date(2024, 1, 1)), 0)).write_parquet(path)
        whole = backfill(spec, path)
    assert whole.labels is not None
    labels = whole.labels.cast(int).to_numpy() > 0
    table = Table(whole.time_ms, whole.features, labels)
    windows = Windows.of(spec)
    trained = fit(table, spec, Recipe(windows=windows, alerts=FLAGGED))
    return Material(spec, whole, Model(trained.bundle, trained.model))


def lambda_events(given: Material, batch: int) -> Iterator[dict[str, Any]]:
    """Batches of the state table's stream, newest transactions first, over and over; ids never repeat."""
    ids, order = itertools.count(), range(len(given.whole.time_ms) - 1, 0, -1)
    for some in itertools.batched(itertools.cycle(order), batch, strict=True):
        now_ms = time.time_ns() // 1_000_000
        yield {"Records": [_record(_row(given, place, next(ids), now_ms), given.spec) for place in some]}


def _row(given: Material, place: int, number: int, now_ms: int) -> Row:
    whole = given.whole
    entities = tuple(series[place] for series in whole.entities)
    kept = (int(round(float(whole.features[place, 0]) * 100)),)
    trace = f"00-{number:032x}-{number:016x}-01"
    vector = np.ascontiguousarray(whole.features[place], "<f4").tobytes()
    return Row(f"tx{number:09}", int(whole.time_ms[place]), now_ms, trace, entities, kept, vector)


def _record(row: Row, spec: Spec) -> dict[str, Any]:
    image = {
        "pk": {"S": f"customer#{row.entities[0]}"},
        "v": {"N": "1"},
        "s": {"B": b64encode(bytes(700)).decode()},
        "w": {"B": b64encode(bytes(30)).decode()},
        "out": {"B": b64encode(encode_out(Out(1, spec.sha256, (row,), ()))).decode()},
    }
    sequence = str(FIRST_SEQUENCE + int(row.id[2:]))
    return {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": sequence, "NewImage": image}}


class Fixed:
    """Pointers that lead to one model for good."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def current(self) -> Serving:
        return self._serving


class Context:
    """What Lambda says of an invocation."""

    aws_request_id = "bench"
    memory_limit_in_mb = 1769

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def wired(model: Model) -> Wiring:
    """Scoring as it is wired on Lambda, with this model."""
    names = dict.fromkeys(Settings.__slots__, "bench") | {"log_key_secret": ""}
    policy = parse_policy((SOURCE / "policy.toml").read_text())
    return replace(wire(Settings(**names), SOURCE), serving=Fixed(Serving(model, "", None, policy)))


def measured(phases: Phases) -> None:
    """Account the handler's steps by phase. Wrapped here, so that production code has no clock in it."""
    phases.wrap(handler, "gather", "decode")
    phases.wrap(Model, "scores", "model")
    phases.wrap(judge.Judge, "judge", "policy")
    phases.wrap(judge, "_reasons", "reasons")
    phases.wrap(handler, "decide", "items")
    phases.wrap(decisions.Decisions, "write", "write")
    phases.wrap(bus.Bus, "publish", "publish")


def run(invoke: Callable[[Any, Any], Any], events: list[dict[str, Any]]) -> None:
    """Each must be done at once."""
    with redirect_stdout(io.StringIO()):  # its metrics
        for event in events:
            assert invoke(event, Context()) == {"batchItemFailures": []}


def bench(given: Material, batch: int, batches: int) -> None:
    """Print CPU an event by phase, warm."""
    wiring = wired(given.model)

    @observed
    def invoke(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return handler.run(wiring, event, context.get_remaining_time_in_millis)

    source = lambda_events(given, batch)
    run(invoke, list(itertools.islice(source, 10)))
    events = list(itertools.islice(source, batches))
    phases = Phases()
    measured(phases)
    phases.start()
    run(invoke, events)
    phases.stop()
    count, total = batch * batches, sum(phases.seconds.values())
    print(f"\n| phase ({batches} batches of {batch}) | CPU us an event | CPU ms a batch | share |")
    print("|---|---|---|---|")
    for name in (*PHASES, "all"):
        seconds = phases.seconds.get(name, 0.0) if name != "all" else total
        each_us, batch_ms = 1e6 * seconds / count, 1e3 * seconds / batches
        print(f"| {name} | {each_us:.1f} | {batch_ms:.2f} | {seconds / total:.1%} |")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--batch", type=int, default=500)
    arguments.add_argument("--batches", type=int, default=40)
    arguments.add_argument("--days", type=int, default=45)
    given = arguments.parse_args()
    os.environ |= CREDENTIALS
    scored = material(given.days)
    with serving() as (endpoint, _):
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        bench(scored, given.batch, given.batches)


if __name__ == "__main__":
    main()
