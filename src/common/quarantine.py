"""Where records go that can never be applied: an object on S3 a batch, a line a record, payload and all."""

import base64
import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from common.aws import Backoff, RemainingMs, answer_of
from common.errors import TransientError
from common.records import Refused


class Quarantine:
    """The `quarantine/` folder of the data bucket. `client` makes the S3 client, at the first bad record."""

    def __init__(
        self,
        client: Callable[[], Any],
        bucket: str,
        function: str,
        kind: str = "kinesis",
        backoff: Backoff | None = None,
    ) -> None:
        self._make_client = client
        self._client: Any = None
        self._bucket = bucket
        self._function = function
        self._kind = kind
        self._backoff = backoff or Backoff()

    def put(self, refused: Sequence[Refused], remaining_ms: RemainingMs) -> str:
        """Write records of one shard as one object and return its key; raises TransientError when time is up.

        The key is made of the first record's position and arrival day, so writing a batch again replaces it.
        """
        key = _key(self._function, refused[0])
        body = _body(refused, self._kind)
        self._client = self._client or self._make_client()
        for _ in self._backoff.tries(remaining_ms):
            if (
                answer_of(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=body))
                is not None
            ):
                return key
        raise TransientError(f"quarantine: {key} was not written before the invocation's time was up")


def _key(function: str, first: Refused) -> str:
    record = first.record
    day = datetime.fromtimestamp(record.arrival_ms / 1000, UTC)
    return f"quarantine/{day:%Y/%m/%d}/{function}-{record.shard}-{record.sequence}.jsonl.gz"


def _body(refused: Sequence[Refused], kind: str) -> bytes:
    """The lines, compressed as they are made: together they can be many times what Lambda delivered."""
    written = io.BytesIO()
    with gzip.GzipFile(fileobj=written, mode="wb", mtime=0) as lines:
        for one in refused:
            lines.write(_line(one, kind))
    return written.getvalue()


def _line(refused: Refused, kind: str) -> bytes:
    record = refused.record
    line = {
        "reason": refused.reason,
        "message": refused.message,
        "shard": record.shard,
        "sequence": record.sequence,
        "sub_sequence": record.sub_sequence,
        "arrival_ms": record.arrival_ms,
        "trace": refused.trace,
        "payload": base64.b64encode(record.data).decode(),
        "kind": kind,
    }
    return json.dumps(line).encode() + b"\n"
