"""A stream is split and merged while records flow: none is lost, and those of a key keep their order."""

import itertools
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from common.errors import InvalidInputError
from streamscore.local import reshard
from streamscore.local.emulator import Emulator
from streamscore.local.poller import Poller
from tests.conftest import client_of
from tests.integration.polled import World, poll, put, stream, world

__all__ = ["poll", "stream", "world"]


def name_of(arn: str) -> str:
    return arn.rpartition("/")[2]


def read_whole(emulator: Emulator, stream: str, shard_id: str) -> tuple[list[Any], Any]:
    """All values of a shard that has ended, and its last reply."""
    kinesis = client_of(emulator.endpoint, "kinesis")
    iterator = kinesis.get_shard_iterator(
        StreamName=name_of(stream), ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    values = []
    while iterator:
        reply = kinesis.get_records(ShardIterator=iterator, Limit=3)
        values += [json.loads(record["Data"]) for record in reply["Records"]]
        iterator = reply.get("NextShardIterator")
    return values, reply


def test_a_split_parent_keeps_its_records_and_names_its_children_at_its_end(
    stream: str, emulator: Emulator
) -> None:
    kinesis = client_of(emulator.endpoint, "kinesis")
    put(emulator, stream, list(range(7)))
    parent = reshard.split(kinesis, name_of(stream))
    put(emulator, stream, [7])
    values, last = read_whole(emulator, stream, parent)
    assert values == list(range(7))
    children = [shard["ShardId"] for shard in reshard.open_shards(kinesis, name_of(stream))]
    assert sorted(shard["ShardId"] for shard in last["ChildShards"]) == children
    assert {tuple(shard["ParentShards"]) for shard in last["ChildShards"]} == {(parent,)}
    with pytest.raises(kinesis.exceptions.ResourceInUseException):
        kinesis.split_shard(StreamName=name_of(stream), ShardToSplit=parent, NewStartingHashKey="9")


def test_merged_parents_keep_their_records_too(stream: str, emulator: Emulator) -> None:
    kinesis = client_of(emulator.endpoint, "kinesis")
    with pytest.raises(InvalidInputError, match="one shard"):
        reshard.merge(kinesis, name_of(stream))
    reshard.split(kinesis, name_of(stream))
    for i in range(20):
        put(emulator, stream, [i], key=f"k{i}")
    parents = reshard.merge(kinesis, name_of(stream))
    put(emulator, stream, [20])
    read = [read_whole(emulator, stream, parent)[0] for parent in parents]
    assert all(read)
    assert sorted(itertools.chain(*read)) == list(range(20))


def test_a_read_ends_at_ten_mebibytes(stream: str, emulator: Emulator) -> None:
    kinesis = client_of(emulator.endpoint, "kinesis")
    for _ in range(12):
        kinesis.put_record(StreamName=name_of(stream), Data=b"x" * 2**20, PartitionKey="k")
    shard = reshard.open_shards(kinesis, name_of(stream))[0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamName=name_of(stream), ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    sizes = []
    while sum(sizes) < 12:
        reply = kinesis.get_records(ShardIterator=iterator)
        sizes.append(len(reply["Records"]))
        iterator = reply["NextShardIterator"]
    assert sizes == [9, 3]  # ten and their keys would be above


def test_no_record_is_lost_and_keys_keep_their_order_while_shards_are_split_and_merged(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    kinesis, name = client_of(emulator.endpoint, "kinesis"), name_of(stream)
    poller = poll(stream, "take", batch_size=7)
    waves = [threading.Event() for _ in range(5)]

    def produce() -> None:
        for wave, done in enumerate(waves):
            for i in range(wave * 20, wave * 20 + 20):
                entries = [
                    {"Data": json.dumps([key, i]).encode(), "PartitionKey": f"key-{key}"} for key in range(8)
                ]
                kinesis.put_records(StreamName=name, Records=entries)
                if i % 20 == 10:
                    done.set()

    producer = threading.Thread(target=produce)
    producer.start()
    changes = (reshard.split, reshard.split, reshard.merge, reshard.merge, reshard.split)
    for done, change in zip(waves, changes, strict=True):
        done.wait(20)
        change(kinesis, name)
    producer.join(20)
    poller.drain(30)
    by_key = defaultdict(list)
    for key, i in world.delivered():
        by_key[key].append(i)
    assert by_key == {key: list(range(100)) for key in range(8)}
    assert len(poller.stats()["take"]["shards"]) == 1 + 2 + 2 + 1 + 1 + 2


def test_an_open_window_ends_with_its_shard_and_the_child_begins_its_own(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0, 1, 2])
    poller = poll(stream, "count", tumbling_ms=900_000)
    parent = reshard.split(client_of(emulator.endpoint, "kinesis"), name_of(stream))
    put(emulator, stream, [3])
    poller.drain(20)
    told = [
        (i["data"], i["state"], i["isFinalInvokeForWindow"], i["shardId"] == parent)
        for i in world.invocations()
    ]
    assert told[-4:] == [
        (told[-4][0], told[-4][1], False, True),
        ([], {"n": 3}, True, True),
        ([3], {}, False, False),
        ([], {"n": 1}, True, False),
    ]
    ends = [i for i in world.invocations() if i["isFinalInvokeForWindow"]]
    assert all(end["isWindowTerminatedEarly"] for end in ends)


def test_children_wait_until_a_restarted_poller_has_ended_their_parent(
    world: World, stream: str, poll: Callable[..., Poller], emulator: Emulator
) -> None:
    put(emulator, stream, [0])
    first = poll(stream, "take")
    first.drain(10)
    first.close()
    put(emulator, stream, [1, 2])
    reshard.split(client_of(emulator.endpoint, "kinesis"), name_of(stream))
    put(emulator, stream, [3, 4])
    poll(stream, "take").drain(20)
    assert world.delivered() == [0, 1, 2, 3, 4]
