"""Putting records on a Kinesis stream: paced, at most 500 a request, in order for every partition key."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from common.errors import TransientError
from common.records import partition_of
from streamscore.progress import Step

MAX_RECORDS_A_REQUEST = 500
MAX_BYTES_A_REQUEST = 5_000_000
GRAIN_S = 0.05  # the shortest pause worth making; what falls due meanwhile shares a request
ATTEMPTS = 12
LONGEST_BACKOFF_S = 5.0


class Record(NamedTuple):
    """What to put: its time decides when with ``--speed``, its key decides the shard."""

    time_ms: int
    key: str
    data: bytes
    is_label: bool = False


@dataclass(frozen=True)
class Pace:
    """How fast to put: at most ``rate`` records a second, and times ``speed`` times as fast as they were."""

    rate: float | None = None
    speed: float | None = None

    def due_s(self, number: int, elapsed_ms: int) -> float:
        """Seconds after the first record at which record ``number``, ``elapsed_ms`` later in time, is due."""
        by_rate = number / self.rate if self.rate else 0.0
        by_time = elapsed_ms / 1000 / self.speed if self.speed else 0.0
        return max(by_rate, by_time)


@dataclass
class Sent:
    """How many records landed."""

    events: int = 0
    labels: int = 0

    def __add__(self, other: "Sent") -> "Sent":
        return Sent(self.events + other.events, self.labels + other.labels)


def put(client: Any, stream_arn: str, records: Iterable[Record], pace: Pace, step: Step) -> Sent:
    """Put every record on the stream at that pace, telling ``step`` as they land."""
    sent = Sent()
    for request in put_in_order(client, stream_arn, requests_of(records, pace)):
        labels = sum(record.is_label for record in request)
        sent.labels += labels
        sent.events += len(request) - labels
        step.advance(len(request))
    return sent


def put_in_order(
    client: Any,
    stream_arn: str,
    requests: Iterable[Sequence[Record]],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Sequence[Record]]:
    """Put each request whole before the next one; yields each one when it has landed.

    Only what failed is sent again. As `requests_of` never puts a key twice into one request, records of one
    key land in their order whatever fails; raises TransientError when some still fail after 12 attempts.
    """
    for request in requests:
        _put_whole(client, stream_arn, request, sleep)
        yield request


def requests_of(
    records: Iterable[Record],
    pace: Pace,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[list[Record]]:
    """Group records into requests, waiting for each to fall due.

    A request ends at 500 records or 5 MB, before a key that it already holds, and before a pause.
    """
    request: list[Record] = []
    keys: set[str] = set()
    size = number = 0
    start_s, first_ms = clock(), None
    for number, record in enumerate(records):
        first_ms = record.time_ms if first_ms is None else first_ms
        wait_s = start_s + pace.due_s(number, record.time_ms - first_ms) - clock()
        bytes_here = len(record.data) + len(record.key)
        full = len(request) == MAX_RECORDS_A_REQUEST or size + bytes_here > MAX_BYTES_A_REQUEST
        if request and (wait_s > 0 or full or record.key in keys):
            yield request
            request, keys, size = [], set(), 0
        if wait_s > 0:
            sleep(max(wait_s, GRAIN_S))
        request.append(record)
        keys.add(record.key)
        size += bytes_here
    if request:
        yield request


def _put_whole(
    client: Any, stream_arn: str, request: Sequence[Record], sleep: Callable[[float], None]
) -> None:
    left = [{"Data": record.data, **partition_of(record.key)} for record in request]
    codes: set[str] = set()
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(min(LONGEST_BACKOFF_S, 0.1 * 2**attempt) * random.uniform(0.5, 1))  # noqa: S311 jitter
        answer = client.put_records(StreamARN=stream_arn, Records=left)
        if not answer.get("FailedRecordCount"):
            return
        failed = [
            (entry, one) for entry, one in zip(left, answer["Records"], strict=True) if "ErrorCode" in one
        ]
        left, codes = [entry for entry, _ in failed], {one["ErrorCode"] for _, one in failed}
    raise TransientError(
        f"{len(left)} records could not be put on the stream in {ATTEMPTS} attempts "
        f"({', '.join(sorted(codes))}); lower --rate or add shards, then put the rest"
    )
