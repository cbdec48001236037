"""Lambda events as the Kinesis event source mapping makes them."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

SHARD = "shardId-000000000000"
FIRST_SEQUENCE = 49590338271490256608559692538361571095921575989136588898


def kinesis_entry(data: bytes, sequence: int, arrival_ms: int, shard: str = SHARD) -> dict[str, Any]:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "1",
            "sequenceNumber": str(sequence),
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": arrival_ms / 1000,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{sequence}",
        "eventName": "aws:kinesis:record",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/events",
    }


def kinesis_event(
    datas: Sequence[bytes | dict[str, Any]],
    arrival_ms: int,
    *,
    first: int = FIRST_SEQUENCE,
    shard: str = SHARD,
) -> dict[str, Any]:
    """One batch; record n has the sequence `first` + n."""
    encoded = [data if isinstance(data, bytes) else json.dumps(data).encode() for data in datas]
    return {"Records": [kinesis_entry(d, first + n, arrival_ms, shard) for n, d in enumerate(encoded)]}


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def protobuf_field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def aggregate(*datas: bytes, body: bytes | None = None) -> bytes:
    """A KPL aggregate as the producer library writes it: a table of partition keys, then records."""
    if body is None:
        body = protobuf_field(1, b"key")
        for data in datas:
            body += protobuf_field(3, protobuf_field(1, 0) + protobuf_field(3, data))
    return b"\xf3\x89\x9a\xc2" + body + hashlib.md5(body).digest()
