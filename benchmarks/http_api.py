"""What an answer over HTTP costs on the local stack: `/predict` at a steady rate, `/batch-predict` of 500.

    python benchmarks/http_api.py [--rate 50] [--seconds 20] [--batches 20] [--customers 500] [--days 45]

A stack of its own is brought up with the features that ship, states loaded from simulated history and a model
trained on it; then requests go over real HTTP through the local API. The load is open: a request is sent when
its time has come, whatever became of those before, and its latency counts from then. CPU is what each process
of the stack used, a request: on a busy machine it says more than the wall clock. The function alone, in this
process, is asked for batches too, over a table server that answers many calls at once.
"""

import argparse
import base64
import http.client
import io
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import psutil
from table_server import serving

from streamscore.local import stack as stacks
from streamscore.local.stack import Stack

BATCH = 500
WARM_UP_S, AT_ONCE = 4.0, 4
"""At the rate that is measured; before it so many at once, for as many processes of the function: else an
overlap starts another in the midst of what is measured, half a second of both cores.
"""
STREAMSCORE = [str(Path(sys.executable).with_name("streamscore"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--customers", type=int, default=500)
    parser.add_argument("--days", type=int, default=45)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streamscore-http-") as folder:
        stack = stacks.up(Path(folder), port=0, detached=False)
        try:
            prepare(Path(folder), options.customers, options.days)
            measure(stack, Events(options.customers), options)
        finally:
            stacks.down(Path(folder))


def prepare(root: Path, customers: int, days: int) -> None:
    """History in the state table, and a model of it in use."""
    start = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
    size = ["--customers", str(customers), "--terminals", str(2 * customers)]
    for command in (
        ["generate", "-o", "history.parquet", "--days", str(days), "--start", start, *size],
        ["load-state", "history.parquet"],
        ["backfill", "history.parquet", "-o", "features.parquet"],
        ["train", "features.parquet", "-o", "bundle", "--train", "20d"],
        ["register", "bundle"],
        ["promote", "bundle"],
    ):
        done = subprocess.run([*STREAMSCORE, *command], cwd=root, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")


class Events:
    """New events, each of a known customer."""

    def __init__(self, customers: int) -> None:
        self._customers, self._random, self._ids = customers, random.Random(7), itertools.count()

    def new(self) -> dict[str, Any]:
        draw = self._random
        return {
            "transaction_id": f"bench-{next(self._ids)}",
            "event_time": datetime.now(UTC).isoformat(),
            "customer_id": f"C{draw.randrange(self._customers)}",
            "terminal_id": f"T{draw.randrange(2 * self._customers)}",
            "amount": round(draw.lognormvariate(3.5, 1.0), 2),
        }


def measure(stack: Stack, events: Events, options: argparse.Namespace) -> None:
    print(f"| request | p50 ms | p90 ms | p99 ms | {' | '.join(f'{n}, CPU ms' for n in PROCESSES)} |")
    print(f"|---|---|---|---|{'---|' * len(PROCESSES)}")
    client = Client(stack.outputs["HttpApiUrl"])
    at_rate(client, [events.new() for _ in range(AT_ONCE)], 1e6)
    at_rate(client, [events.new() for _ in range(round(WARM_UP_S * options.rate))], options.rate)
    count = int(options.rate * options.seconds)
    bodies = [events.new() for _ in range(count)]
    row(f"/predict, {options.rate:.0f}/s", stack, lambda: at_rate(client, bodies, options.rate))
    row("/predict, asked again", stack, lambda: at_rate(client, bodies, options.rate))
    batches = [{"events": [events.new() for _ in range(BATCH)]} for _ in range(options.batches)]
    client.post("/batch-predict", {"events": [events.new() for _ in range(BATCH)]})
    row(f"/batch-predict of {BATCH}", stack, lambda: one_by_one(client, batches))
    print("\nWithout the emulator, which answers one call after another:\n")
    print("| a call of DynamoDB takes | p50 ms | p90 ms | CPU ms |")
    print("|---|---|---|---|")
    with serving() as (endpoint, delay):
        respond = function_over(stack, endpoint)
        for delay_ms in (0, 0, 5, 10):  # the first is to warm up
            delay(delay_ms)
            batches = [{"events": [events.new() for _ in range(BATCH)]} for _ in range(options.batches)]
            cpu_s = time.process_time()
            with redirect_stdout(io.StringIO()):  # its log
                p50, p90 = np.percentile([timed_ms(respond, batch) for batch in batches], [50, 90])
            cpu_ms = 1000 * (time.process_time() - cpu_s) / len(batches)
            print(f"| {delay_ms} ms | {p50:.0f} | {p90:.0f} | {cpu_ms:.0f} |", flush=True)


def function_over(stack: Stack, endpoint: str) -> Callable[[Any], Any]:
    """The function in this process, as the stack runs it, but with the table server's DynamoDB: it gets the
    stack's states.
    """
    dynamodb, table = stack.client("dynamodb"), stack.outputs["StateTableName"]
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            plain = {name: _plain(value) for name, value in item.items()}
            body = json.dumps({"TableName": table, "Item": plain}).encode()
            urlopen(urllib.request.Request(endpoint, body, {"X-Amz-Target": "Bench.PutItem"})).read()  # noqa: S310
    [pid, *_] = stack.stats()["processes"][stack.outputs["ScoringApiFunctionName"]]
    os.environ.update(psutil.Process(pid).environ() | {"AWS_ENDPOINT_URL_DYNAMODB": endpoint})
    from scoring import api  # noqa: PLC0415 - it reads the environment

    return lambda batch: api.respond(api._endpoints(), batch)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {kind: base64.b64encode(held).decode() if kind == "B" else held for kind, held in value.items()}


def timed_ms(call: Callable[[Any], Any], batch: Any) -> float:
    """Wall clock of a call that has to answer every event."""
    http = {"method": "POST", "path": "/batch-predict"}
    event = {
        "version": "2.0",
        "rawPath": "/batch-predict",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": http, "stage": "$default"},
        "body": json.dumps(batch),
        "isBase64Encoded": False,
    }
    started = time.perf_counter()
    answer = call(event)
    took_ms = 1000 * (time.perf_counter() - started)
    if answer["statusCode"] != 200 or answer["body"].count('"decision"') != BATCH:
        sys.exit(f"/batch-predict: {str(answer)[:300]}")
    return took_ms


def row(name: str, stack: Stack, load: Any) -> None:
    with cpu_of(stack) as used:
        latencies_ms = load()
    p50, p90, p99 = np.percentile(latencies_ms, [50, 90, 99])
    cells = " | ".join(f"{used[process] / len(latencies_ms):.2f}" for process in PROCESSES)
    print(f"| {name} | {p50:.1f} | {p90:.1f} | {p99:.1f} | {cells} |", flush=True)


PROCESSES = ("function", "host", "emulator")


@contextmanager
def cpu_of(stack: Stack) -> Iterator[dict[str, float]]:
    """Fills in, by process, the CPU milliseconds used inside the block; a function may have several."""
    before = _cpu_ms(stack)
    used: dict[str, float] = {}
    yield used
    used |= {name: cpu_ms - before[name] for name, cpu_ms in _cpu_ms(stack).items()}


def _cpu_ms(stack: Stack) -> dict[str, float]:
    host = psutil.Process(stack.supervisor.pid)
    function = stack.stats()["processes"].get(stack.outputs["ScoringApiFunctionName"], [])
    emulator = [child.pid for child in host.children() if "emulator_launcher" in " ".join(child.cmdline())]
    times = {
        name: [psutil.Process(pid).cpu_times() for pid in pids]
        for name, pids in zip(PROCESSES, (function, [host.pid], emulator), strict=True)
    }
    return {name: 1000 * float(sum(one.user + one.system for one in each)) for name, each in times.items()}


class Client:
    """Keeps a connection a thread."""

    def __init__(self, url: str) -> None:
        self._url, self._own = urlsplit(url), threading.local()

    def post(self, path: str, body: Any) -> Any:
        if not hasattr(self._own, "connection"):
            self._own.connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port)
        connection = self._own.connection
        headers = {"Content-Type": "application/json"}
        connection.request("POST", self._url.path + path, json.dumps(body), headers)
        reply = connection.getresponse()
        told = reply.read()
        if reply.status != 200:
            sys.exit(f"{path}: {reply.status} {told[:300]!r}")
        return told


def at_rate(client: Client, bodies: Sequence[Any], rate: float) -> list[float]:
    """Latencies from when each was due, in ms."""
    started = time.perf_counter() + 0.1

    def ask(number: int) -> float:
        due = started + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        client.post("/predict", bodies[number])
        return 1000 * (time.perf_counter() - due)

    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(ask, range(len(bodies))))


def one_by_one(client: Client, batches: Sequence[Any]) -> list[float]:
    """Latencies of one call after another, in ms."""
    latencies_ms = []
    for batch in batches:
        started = time.perf_counter()
        client.post("/batch-predict", batch)
        latencies_ms.append(1000 * (time.perf_counter() - started))
    return latencies_ms


if __name__ == "__main__":
    main()
