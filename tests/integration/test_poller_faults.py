"""What a poller does when functions are throttled or killed, or it is killed itself; and where it starts."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from streamscore.local.delivery import Rules
from streamscore.local.emulator import Emulator
from streamscore.local.hub import Hub
from streamscore.local.mapping import Mapping
from streamscore.local.poller import Poller
from streamscore.local.poller_keeper import PollerKeeper
from streamscore.local.poller_process import Settings
from tests.conftest import client_of, poll_until
from tests.integration.polled import World, arn_of, poll, put, stream, world

__all__ = ["poll", "stream", "world"]


def shard_of(poller: Poller, function: str) -> dict[str, Any]:
    (shard,) = poller.stats()[function]["shards"]
    return dict(shard)


def test_a_throttled_function_costs_no_attempt_and_no_record(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    world.host.reserve("take", 0)
    put(emulator, stream, [0, 1, 2])
    poller = poll(stream, "take", max_retries=0)
    poll_until(lambda: shard_of(poller, "take")["throttled"] >= 3, "it was throttled more often than retried")
    assert world.invocations() == []
    world.host.reserve("take", None)
    poller.drain(10)
    assert world.delivered() == [0, 1, 2]
    assert (world.failures(), shard_of(poller, "take")["failures"]) == ([], 0)


def test_a_function_killed_in_the_middle_of_a_batch_gets_it_again(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1])
    poll(stream, "once", max_retries=1).drain(10)
    assert [invocation["data"] for invocation in world.invocations()] == [[0, 1], [0, 1]]
    assert world.failures() == []


def test_batches_of_the_largest_records_stay_below_six_megabytes(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    for i in range(9):
        put(emulator, stream, [f"{i}" + "x" * (2**20 - 100)])
    poller = poll(stream, "take", batch_size=500)
    poller.drain(20)
    assert [text[0] for text in world.delivered()] == list("012345678")
    assert max(len(invocation["data"]) for invocation in world.invocations()) == 4  # 1.33 MB each as base64
    assert shard_of(poller, "take")["failures"] == 0


def test_a_mapping_that_starts_with_the_latest_skips_what_was_there_for_good(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1])
    poll_until(lambda: arrived_before_now(emulator, stream), "the clock's millisecond is over")
    latest = {"starts": "LATEST"}
    first = poll(stream, "take", about=latest)
    first.drain(10)
    put(emulator, stream, [2])
    first.close()  # perhaps before it has seen the record
    poll(stream, "take", about=latest).drain(10)
    assert world.delivered() == [2]


def test_a_mapping_that_starts_at_a_moment_takes_what_arrived_then_or_later(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0])
    poll_until(lambda: arrived_before_now(emulator, stream), "the clock's millisecond is over")
    at_ms = time.time_ns() // 1_000_000
    put(emulator, stream, [1])
    poll(stream, "take", about={"starts": "AT_TIMESTAMP", "starts_at_ms": at_ms}).drain(10)
    assert world.delivered() == [1]


def arrived_before_now(emulator: Emulator, stream: str) -> bool:
    kinesis = client_of(emulator.endpoint, "kinesis")
    name = stream.rpartition("/")[2]
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    arrivals = [
        r["ApproximateArrivalTimestamp"] for r in kinesis.get_records(ShardIterator=iterator)["Records"]
    ]
    return max(arrivals).timestamp() + 0.002 < time.time()


def test_a_disabled_mapping_is_not_polled_and_keeps_its_place(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0])
    first = poll(stream, "take")
    first.drain(10)
    first.close()
    put(emulator, stream, [1])
    disabled = poll(stream, "take", about={"enabled": False})
    disabled.drain(10)
    assert disabled.stats()["take"] == {"function": "take", "polling": False, "shards": []}
    poll(stream, "take").drain(10)
    assert world.delivered() == [0, 1]


@pytest.fixture
def kept(world: World, stream: str, tmp_path: Path) -> Iterator[PollerKeeper]:
    """A poller of the slow function in a process of its own."""
    hub = Hub()
    hub.invoke = world.host.invoke
    mapping = Mapping("slow", "uuid-1", stream, arn_of("slow"), Rules(batch_size=5), (), world.bucket)
    settings = Settings(
        (mapping,),
        world.emulator.endpoint,
        f"{hub.url}/invoke",
        str(tmp_path / "checkpoints"),
        str(tmp_path / "poller.url"),
    )
    keeper = PollerKeeper(settings, dict(os.environ), tmp_path / "poller.log")
    yield keeper
    keeper.close()
    hub.close()


def test_a_poller_that_is_killed_goes_on_behind_its_checkpoint(
    kept: PollerKeeper, world: World, stream: str, emulator: Emulator
) -> None:
    kept.start()
    producer = threading.Thread(
        target=lambda: [put(emulator, stream, list(range(n, n + 10))) for n in range(0, 200, 10)]
    )
    producer.start()
    for more in (40, 90):
        poll_until(
            lambda more=more: len(world.invocations()) * 5 >= more, f"{more} records are delivered", 60
        )
        os.kill(kept.pid, signal.SIGKILL)
        poll_until(lambda pid=kept.pid: kept.pid != pid, "another poller was started", 30)
    producer.join()
    kept.drain(60)
    delivered = world.delivered()
    firsts = list(dict.fromkeys(delivered))
    assert firsts == list(range(200)), "everything, and in order the first time"
    assert len(delivered) - len(firsts) <= 2 * 5, "a kill repeats one batch at most"
    assert kept.restarts == 2


def test_a_pollers_process_ends_with_its_keeper(kept: PollerKeeper) -> None:
    kept.start()
    pid = kept.pid
    kept.close()
    assert not psutil.pid_exists(pid)
    assert kept.restarts == 0
