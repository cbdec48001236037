"""What scoring on the stream costs: CPU by phase of a whole invocation, from the Lambda event to its metrics.

    python benchmarks/scoring_stream.py [--batch 500] [--batches 40] [--days 45] [--challenger]

The features and the default forest that ship, trained on the simulator's transactions; thresholds that
review or block five in a hundred, each with its reasons. Decisions and alerts go over HTTP to
benchmarks/table_server.py, whose CPU is not counted. Each record holds one row, the costliest case. Figures
are process time of this process, its threads included; compare those of one run only.
"""

import argparse
import gc
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

from common.pricing import item_bytes
from common.settings import Settings
from common.telemetry import observed
from scoring import decisions, handler, judge, publisher
from scoring.model import Model
from scoring.policy_file import parse as parse_policy
from scoring.serving import Serving
from scoring.wiring import Wiring, wire
from stream_features.spec import Spec, parse
from stream_features.state import Out, Row, encode_out
from streamscore.local.emulator import CREDENTIALS
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.backfill import Backfilled, backfill
from streamscore.training.labelled import Table
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.thresholds import Alerts
from streamscore.training.train import Recipe, fit

SOURCE = Path(__file__).parents[1] / "src"
FLAGGED = Alerts(review_share=0.05, block_share=0.01)
FIRST_SEQUENCE = 400_000_000_000_000_000_001
PHASES = ("decode", "model", "challenger", "policy", "reasons", "items", "write", "publish", "other")
Events = Iterator[dict[str, Any]]
Invoke = Callable[[Any, Any], Any]


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
    windows = Windows(train_ms=28 * DAY_MS)
    trained = fit(table, spec, Recipe(windows=windows, alerts=FLAGGED))
    return Material(spec, whole, Model(trained.bundle, trained.model))


def rows(given: Material) -> Events:
    """Records of the state table's stream, newest transactions first, over and over; ids never repeat."""
    order = range(len(given.whole.time_ms) - 1, 0, -1)
    for number, place in enumerate(itertools.cycle(order)):
        yield _record(_row(given, place, number, time.time_ns() // 1_000_000), given.spec)


def event(source: Events, batch: int) -> dict[str, Any]:
    """The next batch as Lambda delivers it."""
    return {"Records": list(itertools.islice(source, batch))}


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


def wired(model: Model, challenger: Model | None) -> Wiring:
    """Scoring as it is wired on Lambda, with this model."""
    names = dict.fromkeys(Settings.__slots__, "bench") | {"log_key_secret": "", "pointers_reread_s": "60"}
    policy = parse_policy((SOURCE / "policy.toml").read_text())
    return replace(wire(Settings(**names), SOURCE), serving=Fixed(Serving(model, "", challenger, policy)))


def measured(phases: Phases) -> None:
    """Account the handler's steps by phase. Wrapped here, so that production code has no clock in it."""
    phases.wrap(handler, "gather", "decode")
    phases.wrap(judge, "_scored", "model")
    phases.wrap(judge, "_challenge", "challenger")
    phases.wrap(judge, "_reasons", "reasons")
    phases.wrap(judge.Judge, "judge", "policy")
    phases.wrap(handler, "decide", "items")
    phases.wrap(decisions.Decisions, "write", "write")
    phases.wrap(publisher.Publisher, "publish", "publish")


def run(invoke: Callable[[Any, Any], Any], events: list[dict[str, Any]]) -> None:
    """Each must be done at once."""
    with redirect_stdout(io.StringIO()):  # its metrics
        for event in events:
            assert invoke(event, Context()) == {"batchItemFailures": []}


@dataclass
class Run:
    """So many batches of a size, and the seconds of each phase."""

    batch: int
    batches: int
    seconds: dict[str, float]

    @classmethod
    def of(cls, phases: Phases, invoke: Invoke, source: Events, batch: int, batches: int) -> "Run":
        """Warm."""
        run(invoke, [event(source, batch) for _ in range(10)])
        events = [event(source, batch) for _ in range(batches)]
        gc.collect()
        gc.freeze()  # what made model and batches is no part of a function
        phases.start()
        run(invoke, events)
        phases.stop()
        return cls(batch, batches, phases.seconds)

    def event_us(self, name: str) -> float:
        return 1e6 * self._of(name) / self.batch / self.batches

    def batch_ms(self, name: str) -> float:
        return 1e3 * self._of(name) / self.batches

    def _of(self, name: str) -> float:
        return sum(self.seconds.values()) if name == "all" else self.seconds.get(name, 0.0)


def show(many: Run, one: Run) -> None:
    """The table."""
    print(f"\n| phase | CPU us an event, in batches of {many.batch} | share | CPU ms a batch of one |")
    print("|---|---|---|---|")
    for name in (*PHASES, "all"):
        share = many.event_us(name) / many.event_us("all")
        print(f"| {name} | {many.event_us(name):.1f} | {share:.1%} | {one.batch_ms(name):.2f} |")


def sizes(wiring: Wiring, events: list[dict[str, Any]]) -> None:
    """How large decisions are: what DynamoDB bills."""
    items = handler.decide(wiring, [d for event in events for d in handler.gather(event)[0]])[0]
    told = [item["decision"]["S"] != "approve" for item in items]
    for name, some in (("approved", False), ("reviewed or blocked", True)):
        sized = [item_bytes(item) for item, flagged in zip(items, told, strict=True) if flagged is some]
        print(f"{name}: {len(sized) / len(items):.1%} of decisions, {np.mean(sized):.0f} bytes on average")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--batch", type=int, default=500)
    arguments.add_argument("--batches", type=int, default=40)
    arguments.add_argument("--days", type=int, default=45)
    arguments.add_argument("--challenger", action="store_true")
    given = arguments.parse_args()
    os.environ |= CREDENTIALS
    scored, phases = material(given.days), Phases()
    with serving() as (endpoint, _):
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        wiring = wired(scored.model, scored.model if given.challenger else None)
        source = rows(scored)
        sizes(wiring, [event(source, given.batch) for _ in range(4)])

        @observed
        def invoke(event: dict[str, Any], context: Any) -> dict[str, Any]:
            return handler.run(wiring, event, context.get_remaining_time_in_millis)

        measured(phases)
        many = Run.of(phases, invoke, source, given.batch, given.batches)
        show(many, Run.of(phases, invoke, source, 1, 10 * given.batches))


if __name__ == "__main__":
    main()
