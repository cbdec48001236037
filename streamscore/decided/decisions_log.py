"""Decisions read back by time: the one way for backtests, reports, training sets and case files."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

from streamscore.decided.coverage import to_read
from streamscore.decided.exporting import Source, covered
from streamscore.decided.exports import Bucket, finished, read
from streamscore.decided.scan import scanned
from streamscore.decided.stored import Decided
from streamscore.room_client import RoomClient

SCANNED_BYTES = 1 << 30
"""A table up to this size is scanned at once (262,000 read units a GB, read whole) rather than exported."""
SEGMENTS = 4


class Stack(Protocol):
    """A deployed stack: names from its outputs, clients that reach it."""

    @property
    def outputs(self) -> dict[str, str]:
        """Output key to value."""

    def client(self, service: str) -> Any:
        """A boto3 client of that service."""


def decisions_log(
    stack: Stack,
    since_ms: int | None = None,
    until_ms: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Decided]:
    """Every decision with since <= `scored_at` < until (epoch ms; None: no bound), each once, in no order, as
    it stands now: with the label that came since. Memory does not grow with their number.

    A large table is read from its exports to S3; `say` hears of those that have to be waited for, and what
    was decided in the last minutes is not in them. The local stack's is scanned.
    """
    dynamodb, table = stack.client("dynamodb"), stack.outputs["DecisionsTableName"]
    local = urlsplit(dynamodb.meta.endpoint_url).hostname == "127.0.0.1"
    dynamodb = RoomClient(dynamodb)
    if local:  # an emulator's exports hold no data
        return scanned(dynamodb, table, since_ms, until_ms)
    if dynamodb.describe_table(TableName=table)["Table"]["TableSizeBytes"] <= SCANNED_BYTES:
        return scanned(dynamodb, table, since_ms, until_ms, SEGMENTS)
    bucket = Bucket(stack.client("s3"), stack.outputs["DataBucketName"])
    return exported(Source(dynamodb, table, bucket, say), since_ms or 0, until_ms)


def exported(source: Source, since_ms: int, until_ms: int | None) -> Iterator[Decided]:
    """The same from exports, once they cover the stretch."""
    covered(source, since_ms, until_ms)
    yield from read(source.bucket, to_read(finished(source.bucket), since_ms), since_ms, until_ms)
