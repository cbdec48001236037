"""What a network and a throttled table do to the handler's calls: at the HTTP edge, over the emulator."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

import pytest

from common.aws import RESERVE_MS, Backoff
from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from stream_features.handler import Runtime, apply_batch
from stream_features.store import StateTable
from streamscore.local.emulator import Emulator
from tests.faulty_edge import READ, WRITE, Choose, Edge, Fault
from tests.integration.stream_runtime import NOW_MS, a_minute, event, rows_of, runtime, vector
from tests.integration.test_emulator import table_with_stream
from tests.stream_events import FIRST_SEQUENCE, kinesis_event

__all__ = ["runtime"]

BATCH = [event(f"e{n}", f"c{n % 120}", f"s{n % 70}", amount=n) for n in range(300)]
HARMED = [fault for fault in Fault if fault is not Fault.NONE]


@pytest.fixture
def edge(emulator: Emulator) -> Iterator[Edge]:
    running = Edge(emulator.endpoint, lambda operation: Fault.NONE)
    yield running
    running.stop()


@pytest.fixture
def behind(edge: Edge, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """The runtime, with the edge between it and DynamoDB; pauses between tries are short."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", edge.endpoint)
    backoff = Backoff(jitter=lambda: 0.001)
    return replace(runtime, dynamodb=DynamoDB(Wire(), backoff=backoff))


def outcome(runtime: Runtime, emulator: Emulator) -> tuple[Any, Any]:
    """The rows that reached the stream, and what every item remembers."""
    keys = sorted({f"{kind}#{e[kind]}" for e in BATCH for kind in ("card", "shop")})
    found = StateTable(DynamoDB(Wire()), runtime.state_table, a_minute).read(keys)
    assert found is not None
    rows = sorted((row.id, vector(row)) for row in rows_of(emulator, runtime))
    return rows, {pk: item.s for pk, item in found.items()}


@pytest.fixture
def assert_applied_once(runtime: Runtime, emulator: Emulator) -> Callable[[], None]:
    """Compares with what a run without faults ends with."""
    other = replace(runtime, state_table=table_with_stream(emulator.endpoint))
    apply_batch(kinesis_event(BATCH, NOW_MS), other, a_minute)
    quiet = outcome(other, emulator)

    def check() -> None:
        assert outcome(runtime, emulator) == quiet

    return check


def first(count: int, fault: Fault) -> Choose:
    """That fault for the first calls of each kind, then none."""
    left = {READ: count, WRITE: count}
    lock = threading.Lock()

    def choose(operation: str) -> Fault:
        with lock:
            left[operation] -= 1
            return fault if left[operation] >= 0 else Fault.NONE

    return choose


@pytest.mark.parametrize("fault", HARMED, ids=lambda fault: fault.name.lower())
def test_calls_that_fail_are_made_again_and_everything_is_applied_once(
    fault, edge, behind, assert_applied_once
):
    edge.choose = first(6, fault)
    assert apply_batch(kinesis_event(BATCH, NOW_MS), behind, a_minute) == {"batchItemFailures": []}
    assert_applied_once()
    assert edge.calls[READ] > 6


@pytest.mark.parametrize("seed", range(3))
def test_whatever_mixture_of_faults_it_meets_a_batch_delivered_until_it_is_done_is_applied_once(
    seed, edge, behind, assert_applied_once
):
    """Time is always up, so that one bad call ends an invocation; Lambda delivers the rest anew."""
    random, lock = Random(seed), threading.Lock()

    def choose(operation: str) -> Fault:
        with lock:
            return random.choice(HARMED) if random.random() < 0.3 else Fault.NONE

    edge.choose = choose
    pending, deliveries = kinesis_event(BATCH, NOW_MS)["Records"], 0
    while pending:
        deliveries += 1
        assert deliveries < 1000
        batch = pending[: random.choice((40, 100))]
        pending = pending[_done(batch, apply_batch({"Records": batch}, behind, lambda: 0)) :]
    assert_applied_once()


def _done(batch: list[dict[str, Any]], answer: dict[str, Any]) -> int:
    """How many records of the batch lie before the one to be delivered again."""
    failures = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    sequences = [record["kinesis"]["sequenceNumber"] for record in batch]
    return sequences.index(failures[0]) if failures else len(batch)


def test_eight_calls_are_under_way_at_once_and_never_more(edge, behind):
    """The first eight writes wait for each other: with fewer at once they would wait in vain."""
    together, writes, lock = threading.Barrier(8), count(), threading.Lock()

    def choose(operation: str) -> Fault:
        if operation == WRITE:
            with lock:
                number = next(writes)
            if number < 8:
                together.wait(timeout=20)
        return Fault.NONE

    edge.choose = choose
    batch = [event(f"e{n}", f"c{n}") for n in range(500)]
    assert apply_batch(kinesis_event(batch, NOW_MS), behind, a_minute) == {"batchItemFailures": []}
    assert edge.most_at_once == 8
    assert edge.calls == {READ: 6, WRITE: 21}  # 500 cards by 100, 1 shop; 500 by 25, and 1


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.REFUSED])
@pytest.mark.parametrize("harmed", [READ, WRITE])
def test_tries_end_before_the_invocations_time_is_up_and_what_is_left_is_returned(
    harmed, fault, edge, runtime, monkeypatch
):
    """Pauses are drawn under a bound that doubles from 50 ms."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", edge.endpoint)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        threading.Event().wait(seconds)

    edge.choose = lambda operation: fault if operation == harmed else Fault.NONE
    behind = replace(runtime, dynamodb=DynamoDB(Wire(), backoff=Backoff(sleep)))
    batch = kinesis_event([event("a"), event("b", "c2")], NOW_MS)
    end_s = time.monotonic() + RESERVE_MS / 1000 + 0.8
    answer = apply_batch(batch, behind, lambda: (end_s - time.monotonic()) * 1000)
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(FIRST_SEQUENCE)}]}
    assert end_s - time.monotonic() - RESERVE_MS / 1000 + 0.5 > 0
    assert len(slept) == edge.calls[harmed] - 1 >= 2
    assert all(pause <= 0.05 * 2**n for n, pause in enumerate(slept))
    assert len(set(slept)) == len(slept)
