"""Records on real streams reach a real function, and what it cannot take reaches the bucket."""

import base64
import json
import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from streamscore.local.emulator import Emulator
from streamscore.local.poller import DrainTimeoutError, Poller
from tests.conftest import client_of, poll_until
from tests.integration.polled import World, arn_of, poll, put, stream, world

__all__ = ["poll", "stream", "world"]


def test_records_arrive_in_order_in_batches(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, list(range(25)))
    poll(stream, "take", batch_size=10).drain(10)
    assert [len(invocation["data"]) for invocation in world.invocations()] == [10, 10, 5]
    assert world.delivered() == list(range(25))


def test_an_idle_poller_delivers_within_a_tenth_of_a_second(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    poller = poll(stream, "take")
    put(emulator, stream, ["warm"])
    poller.drain(10)
    latencies = []
    for i in range(5):
        poller.drain(10)
        started = time.monotonic()
        put(emulator, stream, [i])
        poll_until(lambda i=i: i in world.delivered(), "it arrives")
        latencies.append(time.monotonic() - started)
    assert min(latencies) < 0.1  # the best of five: a busy machine slows some, a long poll all


def test_a_poison_record_alone_goes_to_the_bucket_whole(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1, "poison", 3, 4])
    poll(stream, "choke", bisects=True, max_retries=1).drain(10)
    assert {0, 1, 3, 4} <= set(world.delivered())
    (failure,) = world.failures()
    assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert failure["requestContext"]["functionArn"] == arn_of("choke")
    assert failure["KinesisBatchInfo"]["batchSize"] == 1
    assert failure["KinesisBatchInfo"]["streamArn"] == stream
    (record,) = json.loads(failure["payload"])["Records"]
    assert json.loads(base64.b64decode(record["kinesis"]["data"])) == "poison"
    assert record["kinesis"]["sequenceNumber"] == failure["KinesisBatchInfo"]["startSequenceNumber"]


def test_a_reported_record_is_retried_with_those_behind_it_only(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1, "poison", 3])
    poll(stream, "report", bisects=True, reports_failures=True, max_retries=0).drain(10)
    batches = [invocation["data"] for invocation in world.invocations()]
    assert batches == [[0, 1, "poison", 3], ["poison", 3], ["poison"], [3]]
    assert len(world.failures()) == 1


def test_a_stopped_poller_goes_on_behind_its_checkpoint(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1])
    first = poll(stream, "take")
    first.drain(10)
    first.close()
    put(emulator, stream, [2])
    poll(stream, "take").drain(10)
    assert world.delivered() == [0, 1, 2]


def test_a_paused_poller_starts_no_invocation(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    paused = poll(stream, "take")
    paused.drain(10)
    paused.pause()
    put(emulator, stream, [0])
    poll(stream, "choke").drain(10)  # by the time another has read the stream, a third would have too
    assert world.delivered() == [0]
    paused.start()
    paused.drain(10)
    assert world.delivered() == [0, 0]


def test_a_filter_on_a_table_stream_lets_only_matching_images_wake_the_function(
    world: World, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    dynamodb, table = client_of(emulator.endpoint, "dynamodb"), f"t{uuid4().hex}"
    made = dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    for key, attributes in {"a": {"out": {"B": b"1"}}, "b": {}, "c": {"out": {"B": b"2"}}}.items():
        dynamodb.put_item(TableName=table, Item={"pk": {"S": key}, **attributes})
    dynamodb.delete_item(TableName=table, Key={"pk": {"S": "a"}})
    pattern = '{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"out":{"B":[{"exists":true}]}}}}'
    poller = poll(made["TableDescription"]["LatestStreamArn"], "take", (pattern,))
    poller.drain(10)
    assert world.delivered() == ["a", "c"]
    (shard,) = poller.stats()["take"]["shards"]
    assert shard["filtered"] == 2


def test_a_drain_closes_the_open_window_with_the_state_it_had(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1, 2])
    poll(stream, "count", batch_size=2, tumbling_ms=900_000).drain(10)
    told = [(i["data"], i["state"], i["isFinalInvokeForWindow"]) for i in world.invocations()]
    assert told == [([0, 1], {}, False), ([2], {"n": 2}, False), ([], {"n": 3}, True)]
    last = world.invocations()[-1]
    assert last["isWindowTerminatedEarly"] is True
    assert (last["eventSourceARN"], last["shardId"]) == (stream, "shardId-000000000000")
    assert last["window"]["start"] < last["window"]["end"]


def test_a_windowed_function_that_returns_no_state_has_failed(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0])
    poll(stream, "take", tumbling_ms=900_000, max_retries=0).drain(10)
    assert len(world.failures()) == 1


def test_a_drain_that_cannot_end_says_what_holds_it_up(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, ["poison"])
    with pytest.raises(DrainTimeoutError, match="choke-shardId-000000000000.*ValueError"):
        poll(stream, "choke").drain(0.5)
