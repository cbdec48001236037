"""From a producer's put to a decision on the whole local stack: time by stage, CPU by process.

    python benchmarks/end_to_end.py [--rate 200] [--seconds 30] [--labels] [--undisturbed]

History is loaded and a model promoted as the demo does it; then events are put at a steady rate. Each event
is followed by its trace: every invocation is sampled, and this process stands in for the X-Ray daemon. The
times of a stage are of the same events. What the clock says depends on how busy the machine is; CPU an event
does so less. `--undisturbed` (root only) gives this process and the stack's the kernel's real-time priority
while events are put: on a machine shared with others, the latency that its cores would give alone.
"""

import argparse
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import psutil

from common import traceparent
from stream_features.spec import Spec, parse
from streamscore.demo import material
from streamscore.local import stack as stacks
from streamscore.local.stack import Stack
from streamscore.producer.records import Selection, new_trace, records
from streamscore.producer.stream import Pace, Record, put_in_order, requests_of
from streamscore.training import backfill as backfills
from streamscore.training import bundles, pointers
from streamscore.training.final_states import final_states
from streamscore.training.load_state import load
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.tables import read_events
from streamscore.training.train import Recipe, train

SPEC_PATH = Path(__file__).parents[1] / "src/features.toml"
WARM_S = 3.0
STAGES = (
    ("put → arrival on the stream", "put", "arrival"),
    ("arrival → stream_features begins", "arrival", "features_begin"),
    ("… → row durable in the state table", "features_begin", "row"),
    ("row durable → scoring begins", "row", "scoring_begin"),
    ("… → decided", "scoring_begin", "decided"),
    ("decided → decision durable", "decided", "stored"),
    ("**arrival → decided**", "arrival", "decided"),
    ("put → decision durable", "put", "stored"),
)


@dataclass
class Daemon:
    """Takes subsegments from all functions, as X-Ray's daemon would."""

    documents: list[dict[str, Any]] = field(default_factory=list)

    def listen(self) -> str:
        """Begin; the address."""
        taker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        taker.bind(("127.0.0.1", 0))
        threading.Thread(target=self._take, args=(taker,), daemon=True).start()
        return f"127.0.0.1:{taker.getsockname()[1]}"

    def _take(self, taker: socket.socket) -> None:
        while True:
            self.documents.append(json.loads(taker.recv(65_535).partition(b"\n")[2]))


class Prepared(NamedTuple):
    spec: Spec
    events: Path
    moment_ms: int


def prepare(stack: Stack, live: int, folder: Path) -> Prepared:
    """Load four weeks of 500 customers into the state, and promote a model trained on them."""
    spec, path = parse(SPEC_PATH.read_text()), folder / "events.parquet"
    material.simulate(
        material.Simulated(live=live, history_days=28, customers=500), path, datetime.now(UTC).date()
    )
    whole = backfills.backfill(spec, path)
    moment_ms = material.last_of_history_ms(whole.time_ms, live)
    load(stack, final_states(spec, path, moment_ms))
    known = backfills.to_frame(whole).filter(pl.Series(whole.time_ms <= moment_ms))
    known.write_parquet(folder / "features.parquet")
    train(folder / "features.parquet", spec, folder / "bundle", Recipe(windows=Windows(train_ms=28 * DAY_MS)))
    version = bundles.register(stack.client("s3"), stack.outputs["DataBucketName"], folder / "bundle")
    pointers.point(stack.client("ssm"), stack.outputs["PointerPrefix"], version, "benchmark")
    return Prepared(spec, path, moment_ms)


def put_all(stack: Stack, some: Iterable[Record], rate: float) -> dict[str, float]:
    """Put at that rate; when each event's request was begun, epoch ms by trace id."""
    begun: dict[str, float] = {}

    def stamped(requests: Iterable[Sequence[Record]]) -> Iterator[Sequence[Record]]:
        for request in requests:
            now_ms = time.time() * 1000
            for record in request:
                trace = traceparent.trace_id(json.loads(record.data).get("traceparent"))
                if trace:
                    begun[trace] = now_ms
            yield request

    client, arn = stack.client("kinesis"), stack.outputs["EventsStreamArn"]
    for _ in put_in_order(client, arn, stamped(requests_of(some, Pace(rate=rate)))):
        pass
    return begun


def moments(stack: Stack, begun: dict[str, float], documents: list[dict[str, Any]]) -> pl.DataFrame:
    """One row an event: when it was where, epoch ms."""
    steps: dict[str, dict[str, Any]] = {}
    for one in documents:
        steps.setdefault(one["trace_id"], {}).setdefault(
            one["name"], one
        )  # the first write is the primaries'
    seen: dict[str, dict[str, float]] = {trace: {"put": at} for trace, at in begun.items()}
    for by_name in steps.values():
        for service, name, end in (
            ("stream_features", "features_begin", "row"),
            ("scoring", "scoring_begin", "stored"),
        ):
            if service not in by_name or "write" not in by_name:
                continue
            for trace in by_name[service].get("metadata", {}).get("streamscore", {}).get("producers", ()):
                moment = seen.get(trace.removeprefix("1-").replace("-", ""))
                if moment is not None:
                    moment.setdefault(name, by_name[service]["start_time"] * 1000)
                    moment.setdefault(end, by_name["write"]["end_time"] * 1000)
    for item in decisions(stack):
        moment = seen.get(traceparent.trace_id(item.get("trace", {}).get("S")) or "")
        if moment is not None:
            moment |= {"arrival": float(item["arrival"]["N"]), "decided": float(item["scored_at"]["N"])}
    columns = dict.fromkeys(name for _, first, last in STAGES for name in (first, last))
    return pl.DataFrame(list(seen.values()), schema=dict.fromkeys(columns, pl.Float64))


def decisions(stack: Stack) -> Iterator[dict[str, Any]]:
    pages = (
        stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["DecisionsTableName"])
    )
    return (item for page in pages for item in page["Items"])


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """CPU so far of every process of the stack, by what it is, and of the producer."""
    named = {pid: name for name, pids in stack.stats()["processes"].items() for pid in pids}
    functions = {
        stack.outputs[key]: key.removesuffix("FunctionName") for key in stack.outputs if "FunctionName" in key
    }
    supervisor = psutil.Process(stack.supervisor.pid)
    found = {"producer": time.process_time(), "supervisor (poller, runtime host)": _cpu(supervisor)}
    for child in supervisor.children(recursive=True):
        name = functions.get(named.get(child.pid, ""), "emulator")
        found[name] = found.get(name, 0.0) + _cpu(child)
    return found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def prefer(*processes: psutil.Process) -> None:
    """Real-time priority for the processes, what they started, and all their threads."""
    family = {one for process in processes for one in (process, *process.children(recursive=True))}
    for process in family:
        for thread in process.threads():
            os.sched_setscheduler(thread.id, os.SCHED_RR, os.sched_param(1))


def show_stages(events: pl.DataFrame) -> None:
    whole = events.drop_nulls()
    print(f"{len(whole):,} events followed all the way, of {len(events):,}.\n")
    print("| stage | p50 ms | p90 ms | p99 ms | max ms |\n|---|---|---|---|---|")
    for title, first, last in STAGES:
        spent = (whole[last] - whole[first]).to_numpy()
        quantiles = " | ".join(f"{value:,.0f}" for value in np.percentile(spent, [50, 90, 99, 100]))
        print(f"| {title} | {quantiles} |")


def show_steps(documents: list[dict[str, Any]]) -> None:
    """Wall-clock milliseconds a step of an invocation took, by function."""
    service_of = {
        d["trace_id"]: d["name"] for d in documents if d["name"] in {"stream_features", "scoring", "monitor"}
    }
    spent: dict[tuple[str, str], list[float]] = {}
    for one in documents:
        key = service_of.get(one["trace_id"], "?"), one["name"]
        spent.setdefault(key, []).append(1000 * (one["end_time"] - one["start_time"]))
    print("\n| function | step | times | median ms | p99 ms |\n|---|---|---|---|---|")
    for (service, name), values in sorted(spent.items()):
        shown = "whole" if name == service else name
        middle, late = np.percentile(values, [50, 99])
        print(f"| {service} | {shown} | {len(values):,} | {middle:.1f} | {late:.1f} |")


def show_cpu(before: dict[str, float], after: dict[str, float], events: int, wall_s: float) -> None:
    print("\n| process | CPU ms an event | share of a core |\n|---|---|---|")
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    for name, seconds in [*sorted(spent.items(), key=lambda one: -one[1]), ("all", sum(spent.values()))]:
        print(f"| {name} | {1000 * seconds / events:.2f} | {100 * seconds / wall_s:.0f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--undisturbed", action="store_true", help="at real-time priority; needs root")
    parser.add_argument("--labels", action="store_true", help="labels too, beside the events' rate")
    given = parser.parse_args()
    daemon = Daemon()
    os.environ["AWS_XRAY_DAEMON_ADDRESS"] = daemon.listen()
    with tempfile.TemporaryDirectory() as folder:
        stack = stacks.up(Path(folder), port=0, detached=False)
        try:
            measure(stack, daemon, given, Path(folder))
        finally:
            stacks.down(Path(folder))


def measure(stack: Stack, daemon: Daemon, given: argparse.Namespace, folder: Path) -> None:
    warm, count = int(WARM_S * given.rate), int(given.seconds * given.rate)
    made = prepare(stack, warm + count, folder)
    selection = Selection(labels=given.labels, since_ms=made.moment_ms)
    live = list(records(made.spec, read_events(made.events, made.spec), selection, new_trace))
    stack.start()
    if given.undisturbed:
        prefer(psutil.Process(), psutil.Process(stack.supervisor.pid))
    put_all(stack, live[:warm], given.rate)
    stack.drain()
    daemon.documents.clear()
    before, started = cpu_seconds(stack), time.monotonic()
    begun = put_all(stack, live[warm:], given.rate)
    stack.drain()
    after, wall_s = cpu_seconds(stack), time.monotonic() - started
    print(f"{given.rate:.0f} records/s for {wall_s:.0f} s; load average {os.getloadavg()[0]:.1f}.\n")
    show_stages(moments(stack, begun, daemon.documents))
    show_steps(daemon.documents)
    show_cpu(before, after, len(begun), wall_s)


if __name__ == "__main__":
    main()
