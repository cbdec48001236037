"""Kinesis and DynamoDB streams as one thing: shards to list, and records to read in order."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, override

from streamscore.local.wire import Wire

READ_LIMIT = 1000  # records a call; DynamoDB allows no more


@dataclass(frozen=True)
class ShardId:
    """A shard and its parents, which are read to their end before it."""

    id: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """Records as the function will get them (sequence number, arrival time, document); where to go on."""

    records: list[tuple[str, int, dict[str, Any]]]
    iterator: str | None
    at_tip: bool


class Stream(Protocol):
    """A stream as a mapping sees it; one object a thread."""

    def shards(self) -> list[ShardId]:
        """All shards there are."""

    def iterator(self, shard_id: str, after: str | None) -> str:
        """Where to read on: behind the sequence number `after`, or from the oldest record."""

    def read(self, shard_id: str, iterator: str) -> Read:
        """The next records; an empty read may be followed by a full one."""

    def close(self) -> None:
        """Close the connection."""


class KinesisStream(Stream):
    """A Kinesis stream, by ARN."""

    def __init__(self, arn: str, endpoint: str, region: str) -> None:
        self._arn, self._region = arn, region
        self._wire = Wire(endpoint, "kinesis", "Kinesis_20131202", region)

    @override
    def shards(self) -> list[ShardId]:
        listed = self._wire.call("ListShards", StreamARN=self._arn, StreamName=self._arn.rsplit("/", 1)[1])
        return [ShardId(s["ShardId"], _parents(s)) for s in listed["Shards"]]

    @override
    def iterator(self, shard_id: str, after: str | None) -> str:
        position = _position(after)
        name = self._arn.rsplit("/", 1)[1]
        got = self._wire.call("GetShardIterator", StreamName=name, ShardId=shard_id, **position)
        return str(got["ShardIterator"])

    @override
    def read(self, shard_id: str, iterator: str) -> Read:
        got = self._wire.call("GetRecords", ShardIterator=iterator, Limit=READ_LIMIT)
        records = [self._record(shard_id, r) for r in got["Records"]]
        return Read(records, got.get("NextShardIterator"), at_tip=not got.get("MillisBehindLatest"))

    def _record(self, shard_id: str, raw: Mapping[str, Any]) -> tuple[str, int, dict[str, Any]]:
        sequence, arrival_s = raw["SequenceNumber"], raw["ApproximateArrivalTimestamp"]
        record = {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": raw["PartitionKey"],
                "sequenceNumber": sequence,
                "data": raw["Data"],
                "approximateArrivalTimestamp": arrival_s,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard_id}:{sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/local",
            "awsRegion": self._region,
            "eventSourceARN": self._arn,
        }
        return sequence, round(arrival_s * 1000), record

    @override
    def close(self) -> None:
        self._wire.close()


class DynamoStream(Stream):
    """A DynamoDB table's stream, by ARN."""

    def __init__(self, arn: str, endpoint: str, region: str) -> None:
        self._arn = arn
        self._wire = Wire(endpoint, "dynamodb", "DynamoDBStreams_20120810", region)

    @override
    def shards(self) -> list[ShardId]:
        described = self._wire.call("DescribeStream", StreamArn=self._arn)["StreamDescription"]
        return [ShardId(s["ShardId"], _parents(s)) for s in described["Shards"]]

    @override
    def iterator(self, shard_id: str, after: str | None) -> str:
        got = self._wire.call("GetShardIterator", StreamArn=self._arn, ShardId=shard_id, **_position(after))
        return str(got["ShardIterator"])

    @override
    def read(self, shard_id: str, iterator: str) -> Read:
        got = self._wire.call("GetRecords", ShardIterator=iterator, Limit=READ_LIMIT)
        records = [
            (
                raw["dynamodb"]["SequenceNumber"],
                round(raw["dynamodb"]["ApproximateCreationDateTime"] * 1000),
                {**raw, "eventSourceARN": self._arn},
            )
            for raw in got["Records"]
        ]
        return Read(records, got.get("NextShardIterator"), at_tip=not records)

    @override
    def close(self) -> None:
        self._wire.close()


def open_stream(arn: str, endpoint: str, region: str) -> Stream:
    """The stream of that ARN."""
    kind = DynamoStream if ":dynamodb:" in arn else KinesisStream
    return kind(arn, endpoint, region)


def _position(after: str | None) -> dict[str, str]:
    if after is None:
        return {"ShardIteratorType": "TRIM_HORIZON"}
    kind = "AFTER_SEQUENCE_NUMBER"
    return {"ShardIteratorType": kind, "StartingSequenceNumber": after, "SequenceNumber": after}


def _parents(shard: Mapping[str, Any]) -> tuple[str, ...]:
    named = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
    return tuple(parent for parent in named if parent)
