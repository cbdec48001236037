"""What the emulator's Kinesis lacks, mended inside it: resharding that loses nothing, reads of bounded size.

In ministack 1.5.33 SplitShard and MergeShards delete their parents at once, unread records and all, and
GetRecords gives 10,000 records however large. Here a parent is closed, stays readable to its end, where
`NextShardIterator` is missing and the children are named; a read ends at 10 MiB, as on AWS.
https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-after-resharding.html
"""

import json
from collections.abc import Callable
from typing import Any

from ministack.services import kinesis

Reply = tuple[int, dict[str, str], bytes]

MOST_READ_BYTES = 10 * 2**20
_CLOSED = "ending_sequence_number"


def keep_parents() -> None:
    """Wrap what closes shards, what routes records to them, and what reads and lists them."""
    kinesis._split_shard = _closing(kinesis._split_shard, "ShardToSplit")
    kinesis._merge_shards = _closing(kinesis._merge_shards, "ShardToMerge", "AdjacentShardToMerge")
    kinesis._route_to_shard = _to_open_shards(kinesis._route_to_shard)
    kinesis._shard_out = _with_end(kinesis._shard_out)
    kinesis._get_records = _to_the_end(kinesis._get_records)


def bound_reads() -> None:
    """Let a read end at 10 MiB."""
    kinesis._get_records = _bounded(kinesis._get_records)


def _closing(call: Callable[[Any], Reply], *named: str) -> Callable[[Any], Reply]:
    def wrapped(request: dict[str, Any]) -> Reply:
        _name, stream = kinesis._resolve_stream(request)
        shards = stream["shards"] if stream else {}
        parents = {request.get(key): shards[request[key]] for key in named if request.get(key) in shards}
        for shard_id, parent in parents.items():
            if _CLOSED in parent:
                return _refused(f"Shard {shard_id} is closed already")
        reply = call(request)
        if reply[0] == 200:
            for shard_id, parent in parents.items():
                parent[_CLOSED] = kinesis._next_sequence_number()
                shards[shard_id] = parent
        return reply

    return wrapped


def _refused(message: str) -> Reply:
    body = json.dumps({"__type": "ResourceInUseException", "message": message})
    return 400, {"Content-Type": "application/x-amz-json-1.1"}, body.encode()


def _to_open_shards(route: Callable[[int, Any], str]) -> Callable[[int, Any], str]:
    def wrapped(hash_key: int, stream: dict[str, Any]) -> str:
        still_open = {name: shard for name, shard in stream["shards"].items() if _CLOSED not in shard}
        return route(hash_key, {**stream, "shards": still_open})

    return wrapped


def _with_end(describe: Callable[[str, Any], dict[str, Any]]) -> Callable[[str, Any], dict[str, Any]]:
    def wrapped(shard_id: str, shard: dict[str, Any]) -> dict[str, Any]:
        described = describe(shard_id, shard)
        if _CLOSED in shard:
            described["SequenceNumberRange"]["EndingSequenceNumber"] = shard[_CLOSED]
        return described

    return wrapped


def _to_the_end(read: Callable[[Any], Reply]) -> Callable[[Any], Reply]:
    def wrapped(request: dict[str, Any]) -> Reply:
        state, shard = _read_from(request)
        reply = read(request)
        if reply[0] != 200 or shard is None or _CLOSED not in shard:
            return reply
        body = json.loads(reply[2])
        if state["position"] + len(body["Records"]) < len(shard["records"]):
            return reply
        del body["NextShardIterator"]
        body["ChildShards"] = _children(state["stream"], state["shard_id"])
        return reply[0], reply[1], json.dumps(body).encode()

    return wrapped


def _children(stream: str, shard_id: str) -> list[dict[str, Any]]:
    found = []
    for name, shard in kinesis._streams[stream]["shards"].items():
        parents = [shard["parent_shard_id"], shard["adjacent_parent_shard_id"]]
        if shard_id in parents:
            about = kinesis._shard_out(name, shard)
            parents = [parent for parent in parents if parent]
            found.append({"ShardId": name, "ParentShards": parents, "HashKeyRange": about["HashKeyRange"]})
    return found


def _bounded(read: Callable[[Any], Reply]) -> Callable[[Any], Reply]:
    def wrapped(request: dict[str, Any]) -> Reply:
        state, shard = _read_from(request)
        if shard is None:
            return read(request)
        limit = min(request.get("Limit", 10_000), 10_000)
        size = count = 0
        for record in shard["records"][state["position"] : state["position"] + limit]:
            size += len(record["Data"]) * 3 // 4 + len(record["PartitionKey"])  # Data is base64
            if count and size > MOST_READ_BYTES:
                break
            count += 1
        return read({**request, "Limit": max(count, 1)})

    return wrapped


def _read_from(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The iterator's state and the shard that it reads, if there are such."""
    state = kinesis._shard_iterators.get(request.get("ShardIterator")) or {}
    stream = kinesis._streams.get(state.get("stream")) or {}
    return state, stream.get("shards", {}).get(state.get("shard_id"))
