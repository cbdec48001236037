"""What the whole stream_features handler costs: `apply_batch` with the wire client over HTTP.

    python benchmarks/handler.py [--days 30] [--batches 40] [--batch 500] [--labels] [--delay-ms 10]

The features that ship, two entities, states loaded from a simulated history of the book's scale. First CPU by
phase over the emulator: process time of this process, its threads included. Then the wall clock, with every
DynamoDB call answered `--delay-ms` late, over benchmarks/table_server.py: the emulator answers one call after
another, which DynamoDB does not. Compare figures of one run only.
"""

import argparse
import io
import itertools
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import boto3
from table_server import serving

from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.quarantine import Quarantine
from common.telemetry import meter
from stream_features import handler as handlers
from stream_features import store, turn
from stream_features.events import decoder
from stream_features.spec import Spec, parse
from streamscore.local import emulator as emulators
from streamscore.producer.records import Selection, records
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.final_states import final_states
from streamscore.training.load_state import load
from streamscore.training.tables import read_events

SPEC_PATH = Path(__file__).parents[1] / "src" / "features.toml"
FIRST_SEQUENCE = 49590338271490256608559692538361571095921575989136588898
DAY_MS = 86_400_000


@dataclass
class Target:
    """As much of a stack as loading states needs."""

    endpoint: str
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.client(service, endpoint_url=self.endpoint)


class Phases:
    """CPU seconds by phase, each without what it calls of another; also what was slept and waited for."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open = ["other"]
        self._since = 0.0

    def start(self) -> None:
        self.seconds, self._open, self._since = {}, ["other"], time.process_time()

    def _switch(self) -> None:
        now = time.process_time()
        self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now

    def stop(self) -> None:
        self._switch()

    def wrap(self, owner: Any, name: str, phase: str) -> None:
        """Account calls of `owner.name` under `phase`."""
        call = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            self._switch()
            self._open.append(phase)
            try:
                return call(*arguments, **named)
            finally:
                self._switch()
                self._open.pop()

        setattr(owner, name, timed)


def lambda_events(
    spec: Spec, path: Path, since_ms: int, batch: int, labels: bool
) -> Iterator[dict[str, Any]]:
    """Kinesis batches of what the file holds after `since_ms`, all of one shard."""
    chosen = Selection(labels=labels, since_ms=since_ms)
    sequence = itertools.count(FIRST_SEQUENCE)
    for some in itertools.batched(records(spec, read_events(path, spec), chosen), batch, strict=False):
        yield {"Records": [_entry(record.data, next(sequence), some[-1].time_ms) for record in some]}


def _entry(data: bytes, sequence: int, arrival_ms: int) -> dict[str, Any]:
    kinesis = {
        "partitionKey": "1",
        "sequenceNumber": str(sequence),
        "data": b64encode(data).decode(),
        "approximateArrivalTimestamp": arrival_ms / 1000,
    }
    return {"kinesis": kinesis, "eventID": f"shardId-000000000000:{sequence}"}


@contextmanager
def emulated(folder: Path) -> Iterator[Target]:
    """An emulator with an empty state table."""
    running = emulators.start(folder / "emulator")
    try:
        target = Target(running.endpoint, {"StateTableName": f"state-{uuid4().hex}"})
        target.client("dynamodb").create_table(
            TableName=target.outputs["StateTableName"],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        yield target
    finally:
        running.stop()


def measured(phases: Phases) -> None:
    """Account the handler's steps by phase. Wrapped here, so that production code has no clock in it."""
    phases.wrap(handlers, "take", "decode")
    phases.wrap(store.StateTable, "read", "read")
    phases.wrap(store.StateTable, "save", "write")
    for name in ("__init__", "fold", "fold_shared"):
        phases.wrap(turn.Part, name, "fold")
    for name in ("primary_writes", "shared_writes"):
        phases.wrap(turn.Turn, name, "encode")


def run(apply: Callable[[dict[str, Any]], Any], batches: list[dict[str, Any]]) -> tuple[int, list[float]]:
    """How many records, and the wall seconds of each batch; each must be done at once."""
    walls_s = []
    for batch in batches:
        with redirect_stdout(io.StringIO()):  # its metrics
            began = time.perf_counter()
            assert apply(batch) == {"batchItemFailures": []}
            walls_s.append(time.perf_counter() - began)
    return sum(len(batch["Records"]) for batch in batches), walls_s


@dataclass
class Bench:
    """A history in a file, and the batches that follow it."""

    spec: Spec
    path: Path
    until_ms: int
    given: argparse.Namespace

    def lane(self, target: Target) -> tuple[Callable[[dict[str, Any]], Any], Iterator[dict[str, Any]]]:
        """The handler on a table that holds the history's states, and what comes after it."""
        os.environ["AWS_ENDPOINT_URL"] = target.endpoint
        load(target, final_states(self.spec, self.path, self.until_ms))
        quarantine = Quarantine(lambda: None, "none", "bench")
        table = target.outputs["StateTableName"]
        made = handlers.Runtime(self.spec, decoder(self.spec), DynamoDB(Wire(), meter), table, quarantine)
        source = lambda_events(self.spec, self.path, self.until_ms, self.given.batch, self.given.labels)
        return lambda event: handlers.apply_batch(event, made, lambda: 900_000), source

    def cpu(self, target: Target) -> None:
        """CPU a record by phase, warm."""
        apply, source = self.lane(target)
        run(apply, list(itertools.islice(source, 5)))
        batches = list(itertools.islice(source, self.given.batches))
        phases = Phases()
        measured(phases)
        phases.start()
        count, _ = run(apply, batches)
        phases.stop()
        total = sum(phases.seconds.values())
        print(f"\n| phase ({count:,} records in batches of {self.given.batch}) | CPU us a record | share |")
        print("|---|---|---|")
        for name in ("decode", "read", "fold", "encode", "write", "other"):
            seconds = phases.seconds.get(name, 0.0)
            print(f"| {name} | {1e6 * seconds / count:.1f} | {seconds / total:.1%} |")
        print(f"| all | {1e6 * total / count:.1f} | |")

    def wall(self, target: Target, delay: Callable[[float], None]) -> None:
        """Records a second on one lane, with and without a delay in every call."""
        apply, source = self.lane(target)
        run(apply, list(itertools.islice(source, 5)))
        print("| in every DynamoDB call | a batch takes (median) | records/s on one lane | at best |")
        print("|---|---|---|---|")
        for delay_ms in (0.0, self.given.delay_ms):
            delay(delay_ms)
            _, walls_s = run(apply, list(itertools.islice(source, self.given.batches)))
            median_s, best_s, size = median(walls_s), min(walls_s), self.given.batch
            speeds = f"{size / median_s:,.0f} | {size / best_s:,.0f}"
            print(f"| {delay_ms:g} ms | {1e3 * median_s:.0f} ms | {speeds} |", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--batch", type=int, default=500)
    arguments.add_argument("--batches", type=int, default=40)
    arguments.add_argument("--labels", action="store_true")
    arguments.add_argument("--delay-ms", type=float, default=10)
    given = arguments.parse_args()
    os.environ |= emulators.CREDENTIALS
    start = date(2024, 1, 1)
    until_ms = int(datetime(start.year, 1, 1, tzinfo=UTC).timestamp() * 1000) + given.days * DAY_MS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated = simulate(Scale(days=given.days + 10, start=start), 0)
        to_frame(simulated).write_parquet(folder / "events.parquet")
        bench = Bench(parse(SPEC_PATH.read_text()), folder / "events.parquet", until_ms, given)
        with serving() as (endpoint, delay):
            bench.wall(Target(endpoint, {"StateTableName": "state"}), delay)
        with emulated(folder) as target:
            bench.cpu(target)


if __name__ == "__main__":
    main()
