"""Batches of the events stream as Lambda delivers them, plain and aggregated by the producer library."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta

from streamscore.samples.purchases import ACCOUNT, ARRIVED, REGION, Json

_FIRST_SEQUENCE = 49_671_234_567_890_123_456_789_012_345_678_901_234_567_890_123_456_780_000
_SHARD = "shardId-000000000000"
_STREAM_ARN = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/streamscore-sample-events"


def kinesis_event(datas: Sequence[bytes]) -> Json:
    """A batch of one shard as Lambda delivers it; record n arrived n × 10 ms after the first."""
    return {"Records": [_kinesis_record(place, data) for place, data in enumerate(datas)]}


def _kinesis_record(place: int, data: bytes) -> Json:
    sequence = str(_FIRST_SEQUENCE + place)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "17",
            "sequenceNumber": sequence,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": (ARRIVED + timedelta(milliseconds=10 * place)).timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{_SHARD}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/streamscore-sample",
        "awsRegion": REGION,
        "eventSourceARN": _STREAM_ARN,
    }


def kpl_aggregate(datas: Iterable[bytes]) -> bytes:
    """The producer library's aggregate of records under one partition key (its `aggregation-format.md`)."""
    body = _field(1, b"17")
    for data in datas:
        body += _field(3, b"\x08\x00" + _field(3, data))  # partition key by index, then the data
    return b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body, usedforsecurity=False).digest()


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    high = b""
    while value > 0x7F:
        high += bytes([value & 0x7F | 0x80])
        value >>= 7
    return high + bytes([value])
