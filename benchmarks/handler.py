"""What the whole stream_features handler costs: `apply_batch` with the wire client, DynamoDB emulated.

    python benchmarks/handler.py [--days 30] [--batches 40] [--batch 500] [--labels] [--delay-ms 10]

The features that ship, two entities, states loaded from a simulated history of the book's scale. First CPU by
phase (process time of this process, its threads included; the emulator's is not); then the wall clock, with
`--delay-ms` slept in every DynamoDB call. The emulator answers one call after another and shares the cores,
so its part of the wall clock is measured and told: DynamoDB has no such queue. Ratios hold, seconds do not.
"""

import argparse
import itertools
import os
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.quarantine import Quarantine
from stream_features import handler as handlers
from stream_features import store, turn
from stream_features.events import decoder
from stream_features.spec import Spec, parse
from streamscore.local import emulator as emulators
from streamscore.producer.records import Selection, records
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.load_state import load_state
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
        return boto3.client(service)


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


class Slow(Wire):
    """The wire client behind a network: every call takes `delay_s` longer; `answered_s` is the rest of it."""

    def __init__(self) -> None:
        super().__init__()
        self.delay_s = 0.0
        self.calls = 0
        self.spans: list[tuple[float, float]] = []

    def _call(self, operation: str, request: dict[str, Any]) -> bytes:
        self.calls += 1
        time.sleep(self.delay_s)
        return super()._call(operation, request)


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
    """An emulator with an empty state table; AWS clients of this process find it."""
    running = emulators.start(folder / "emulator")
    os.environ |= {**emulators.CREDENTIALS, "AWS_ENDPOINT_URL": running.endpoint}
    try:
        name = f"state-{uuid4().hex}"
        boto3.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )
        yield Target(running.endpoint, {"StateTableName": name})
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


def run(apply: Callable[[dict[str, Any]], Any], batches: list[dict[str, Any]]) -> tuple[int, float]:
    """(records, wall seconds) of the batches; each must be done at once."""
    began = time.perf_counter()
    for batch in batches:
        assert apply(batch) == {"batchItemFailures": []}
    return sum(len(batch["Records"]) for batch in batches), time.perf_counter() - began


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--batch", type=int, default=500)
    arguments.add_argument("--batches", type=int, default=40)
    arguments.add_argument("--labels", action="store_true")
    arguments.add_argument("--delay-ms", type=float, default=10)
    given = arguments.parse_args()
    spec = parse(SPEC_PATH.read_text())
    with tempfile.TemporaryDirectory() as folder, emulated(Path(folder)) as target:
        path = Path(folder) / "events.parquet"
        history = to_frame(simulate(Scale(days=given.days + 10, start=date(2024, 1, 1)), 0))
        history.write_parquet(path)
        until_ms = int(date(2024, 1, 1).strftime("%s")) * 1000 + given.days * DAY_MS
        print(f"{load_state(target, spec, path, until_ms):,} states loaded", flush=True)
        source = lambda_events(spec, path, until_ms, given.batch, given.labels)
        report(spec, target, source, given)


def report(spec: Spec, target: Target, source: Iterator[dict[str, Any]], given: argparse.Namespace) -> None:
    """Warm up, then CPU by phase, then the wall clock without and with the delay."""
    wire = Slow()
    quarantine = Quarantine(lambda: None, "none", "bench")
    made = handlers.Runtime(spec, decoder(spec), DynamoDB(wire), target.outputs["StateTableName"], quarantine)

    def apply(event: dict[str, Any]) -> Any:
        return handlers.apply_batch(event, made, lambda: 900_000)

    def batches(count: int) -> list[dict[str, Any]]:
        return list(itertools.islice(source, count))

    run(apply, batches(5))
    phases = Phases()
    measured(phases)
    cpu_batches = batches(given.batches)
    wire.calls = 0
    phases.start()
    count, wall_s = run(apply, cpu_batches)
    phases.stop()
    total = sum(phases.seconds.values())
    print(
        f"batch {given.batch}, {count:,} records, {wire.calls / len(cpu_batches):.1f} DynamoDB calls a batch"
    )
    for name in ("decode", "read", "fold", "encode", "write", "other"):
        seconds = phases.seconds.get(name, 0.0)
        print(f"  {name:8} {1e6 * seconds / count:7.1f} us CPU a record {seconds / total:6.1%}")
    print(f"  {'all':8} {1e6 * total / count:7.1f} us CPU a record, {count / wall_s:,.0f} records/s wall")
    wire.delay_s = given.delay_ms / 1000
    count, wall_s = run(apply, batches(given.batches))
    print(f"with {given.delay_ms:g} ms in every call: {count / wall_s:,.0f} records/s wall on one lane")


if __name__ == "__main__":
    main()
