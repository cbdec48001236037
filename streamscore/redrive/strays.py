"""What the data bucket holds of records that did not make it, read from its objects. Pure.

Records set aside by a function lie under QUARANTINE, a line each (`common.quarantine`); batches that Lambda
gave up under FAILED, one JSON document each:
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from common.errors import InvalidInputError
from common.records import kinesis_records

QUARANTINE, FAILED = "quarantine/", "aws/lambda/"


class Stray(NamedTuple):
    """One record of the events stream, and why it is not applied."""

    reason: str
    data: bytes


class Batch(NamedTuple):
    """Stream records of a table that one of our functions, `room`, has to see again as `event`."""

    room: str
    reason: str
    event: Mapping[str, Any]

    @property
    def size(self) -> int:
        """How many records it holds."""
        return len(self.event["Records"])


Found = Sequence[Stray] | Batch


class _Line(msgspec.Struct):
    reason: str
    payload: bytes


class _Context(msgspec.Struct):
    functionArn: str  # noqa: N815 - AWS's names
    condition: str


class _Failure(msgspec.Struct):
    requestContext: _Context  # noqa: N815
    payload: Any


_line = msgspec.json.Decoder(_Line)
_failure = msgspec.json.Decoder(_Failure)


def read(key: str, body: bytes, rooms: Mapping[str, str]) -> Found:
    """What an object of the bucket holds; `rooms` are our functions' rooms (`scoring`, …) by their names.

    Raises InvalidInputError for what is no such object, or a batch of a function that is none of ours.
    """
    try:
        return _set_aside(body) if key.startswith(QUARANTINE) else _given_up(body, rooms)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{key}: not an object that redrive can read: {error}") from error


def _set_aside(body: bytes) -> Found:
    lines = map(_line.decode, gzip.decompress(body).splitlines())
    return [Stray(line.reason, line.payload) for line in lines]


def _given_up(body: bytes, rooms: Mapping[str, str]) -> Found:
    failure = _failure.decode(body)
    event = json.loads(failure.payload) if isinstance(failure.payload, str) else failure.payload
    name = failure.requestContext.functionArn.partition(":function:")[2].partition(":")[0]
    if name not in rooms:
        raise ValueError(f"{name or 'its function'} is no function of this stack")
    reason, room = failure.requestContext.condition, rooms[name]
    if room != "stream_features":
        # Without its window, a batch of the monitor is a window of its own (`monitor.windows.read`).
        return Batch(room, reason, {"Records": list(event["Records"])})
    taken, unread = kinesis_records(event)
    records = sorted([*taken, *(refused.record for refused in unread)], key=lambda record: record.order)
    return [Stray(reason, record.data) for record in records]
