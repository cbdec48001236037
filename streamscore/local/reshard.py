"""Split and merge the shards of a stream, as its owner would: with any Kinesis client, while records flow."""

from typing import Any

from common.errors import InvalidInputError


def open_shards(kinesis: Any, stream: str) -> list[dict[str, Any]]:
    """The shards that take records, by hash key."""
    shards = kinesis.list_shards(StreamName=stream)["Shards"]
    still_open = [s for s in shards if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
    return sorted(still_open, key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))


def split(kinesis: Any, stream: str) -> str:
    """Halve the shard that covers most; returns the one that was closed by that."""
    widest = max(open_shards(kinesis, stream), key=lambda shard: _width(shard["HashKeyRange"]))
    covered = widest["HashKeyRange"]
    middle = int(covered["StartingHashKey"]) + _width(covered) // 2
    kinesis.split_shard(StreamName=stream, ShardToSplit=widest["ShardId"], NewStartingHashKey=str(middle))
    return str(widest["ShardId"])


def merge(kinesis: Any, stream: str) -> tuple[str, str]:
    """Merge the first two shards; returns them. Raises InvalidInputError if there is only one."""
    shards = open_shards(kinesis, stream)
    if len(shards) == 1:
        raise InvalidInputError(f"the stream {stream} has one shard: there is nothing to merge it with")
    first, second = shards[0]["ShardId"], shards[1]["ShardId"]
    kinesis.merge_shards(StreamName=stream, ShardToMerge=first, AdjacentShardToMerge=second)
    return first, second


def _width(covered: dict[str, str]) -> int:
    return int(covered["EndingHashKey"]) - int(covered["StartingHashKey"]) + 1
