"""Ten times the rate for a minute on the whole local stack: how late do lanes run, do they drain?

    python benchmarks/backpressure.py [--rate 50] [--times 10] [--seconds 60]

Without a model: every decision is the fallback's. Exits 1 if an event was not decided exactly once, or a
record was quarantined or given up. Ages are the pollers', as AWS's IteratorAge: now minus the arrival of the
newest record delivered.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from streamscore.demo.contents import given_up, set_aside
from streamscore.local import stack as stacks
from streamscore.local.stack import Stack
from streamscore.producer.stream import Pace, Record, put_in_order, requests_of

LANES = {
    "features": "StreamFeaturesFunctionRecords",
    "scoring": "ScoringFunctionRows",
    "monitor": "MonitorWindowsFunctionDecisions",
}
LOOK_S = 0.5
DRAINS_WITHIN_S = 900.0


def payments(count: int, name: str) -> Iterator[Record]:
    """Of a thousand customers at two hundred terminals, in turn."""
    for n in range(count):
        customer, now_ms = f"c{n % 1000}", time.time_ns() // 1_000_000
        event = {
            "transaction_id": f"{name}{n}",
            "event_time": now_ms,
            "customer_id": customer,
            "terminal_id": f"t{n % 200}",
            "amount": n % 500,
        }
        yield Record(now_ms, customer, json.dumps(event).encode())


def ages_ms(stack: Stack) -> dict[str, int]:
    """How old what each lane delivered last was."""
    mappings = stack.stats()["mappings"]
    return {
        lane: max((shard["iterator_age_ms"] for shard in mappings[name]["shards"]), default=0)
        for lane, name in LANES.items()
    }


def put(stack: Stack, count: int, rate: float, name: str) -> dict[str, int]:
    """Put that many at that rate; the greatest age of each lane meanwhile."""
    worst, done = dict.fromkeys(LANES, 0), threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_S):
            for lane, age_ms in ages_ms(stack).items():
                worst[lane] = max(worst[lane], age_ms)

    watching = threading.Thread(target=watch)
    watching.start()
    client, arn = stack.client("kinesis"), stack.outputs["EventsStreamArn"]
    for _ in put_in_order(client, arn, requests_of(payments(count, name), Pace(rate=rate))):
        pass
    done.set()
    watching.join()
    return worst


def decided(stack: Stack) -> int:
    """How many decisions there are."""
    pages = stack.client("dynamodb").get_paginator("scan")
    found = pages.paginate(TableName=stack.outputs["DecisionsTableName"], Select="COUNT", ConsistentRead=True)
    return sum(page["Count"] for page in found)


def row(*cells: object) -> None:
    print("|", *(f"{cell} |" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = stacks.up(Path(folder), port=0, detached=False)
        try:
            held = _measure(stack, asked.rate, asked.times, asked.seconds)
        finally:
            stacks.down(Path(folder))
    sys.exit(0 if held else 1)


def _measure(stack: Stack, rate: float, times: float, seconds: float) -> bool:
    row("phase", "records", "wall time", *(f"age of {lane}, most" for lane in LANES))
    row(*["---"] * (3 + len(LANES)))
    stack.start()
    sent = 0
    for name, pace, length_s in (("usual", rate, 20.0), (f"{times:g} times", rate * times, seconds)):
        count, began_s = round(pace * length_s), time.monotonic()
        worst = put(stack, count, pace, name[0])
        sent += count
        took_s = time.monotonic() - began_s
        row(f"{name}: {pace:g}/s", f"{count:,}", f"{took_s:.0f} s", *(f"{ms:,} ms" for ms in worst.values()))
    began_s = time.monotonic()
    stack.drain(DRAINS_WITHIN_S)
    drained_s, ages = time.monotonic() - began_s, ages_ms(stack)
    row("drained", "", f"{drained_s:.0f} s", *(f"{ms:,} ms" for ms in ages.values()))
    began_s = time.monotonic()
    worst = put(stack, round(rate * 10), rate, "after")
    sent += round(rate * 10)
    row(f"usual: {rate:g}/s", f"{round(rate * 10):,}", f"{time.monotonic() - began_s:.0f} s",
        *(f"{ms:,} ms" for ms in worst.values()))  # fmt: skip
    stack.drain(DRAINS_WITHIN_S)
    found, aside, lost = decided(stack), set_aside(stack, "quarantine/"), given_up(stack)
    print(f"\n{sent:,} sent, {found:,} decided, {aside} quarantined, {lost} given up")
    return (found, aside, lost) == (sent, 0, 0)


if __name__ == "__main__":
    main()
