"""Calling AWS from a function: clients, what is worth asking again, and for how long.

Clients try nothing again by themselves. What is throttled or unanswered is tried again here, with jittered
back-off, until the caller's time is nearly up, so that a partial failure can still be returned.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from typing import Any

from common.dynamodb_wire import Wire
from common.errors import NoAnswerError, ServiceError
from common.json_client import JsonClient
from common.s3_client import S3

RESERVE_MS = 5_000
MOST_CONNECTIONS = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_THROTTLES = frozenset(
    (
        *("ThrottlingException", "ThrottlingError", "Throttling", "RequestLimitExceeded", "SlowDown"),
        *("ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded"),
        *("TransactionConflictException", "TransactionConflict", "ReplicatedWriteConflictException"),
        *("InternalServerError", "InternalFailure", "InternalError", "ServiceUnavailable", "RequestTimeout"),
    )
)
RemainingMs = Callable[[], float]


def client(service: str, attempts: int = 1, environ: Mapping[str, str] = os.environ) -> Any:
    """A client of that service in botocore's shape, for as many tries of each call; errors: see JsonClient.

    The environment says where and as whom: AWS_REGION, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>, the
    keys or the credentials endpoint that Lambda names, AWS_CA_BUNDLE.
    """
    special: dict[str, Callable[[Mapping[str, str]], Any]] = {"dynamodb": Wire, "s3": S3}
    made = special[service](environ) if service in special else JsonClient(service, environ)
    return made if attempts == 1 else _Persistent(made, attempts)


class _Persistent:
    """A client whose calls are tried again."""

    def __init__(self, made: Any, attempts: int) -> None:
        self._made, self._attempts = made, attempts

    def __getattr__(self, operation: str) -> Any:
        """The operation of that name."""
        return partial(self._call, getattr(self._made, operation))

    def _call(self, call: Callable[..., Any], **request: Any) -> Any:
        backoff = Backoff()
        for attempt in range(1, self._attempts):
            answer = answer_of(lambda: call(**request))
            if answer is not None:
                return answer
            backoff.pause(attempt, lambda: inf)
        return call(**request)


def answer_of[T](call: Callable[[], T]) -> T | None:
    """The call's answer, or None if asking again can help; a bug or a missing permission is raised."""
    try:
        return call()
    except NoAnswerError:
        return None
    except ServiceError as error:
        if error.status >= 500 or is_throttle(error.code):
            return None
        raise


def is_throttle(code: str) -> bool:
    """Whether an error code says that the same request can succeed later."""
    return code in _THROTTLES


class Backoff:
    """Full-jitter pauses under a bound that doubles; tests bring their own `sleep` and `jitter` (0 to 1)."""

    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, jitter: Callable[[], float] = random.random
    ) -> None:
        self._sleep = sleep
        self._jitter = jitter

    def tries(self, remaining_ms: RemainingMs) -> Iterator[int]:
        """1, 2, … with a pause between, until a pause would eat into RESERVE_MS; at least one."""
        attempt = 1
        yield attempt
        while remaining_ms() - (pause_s := self._pause_s(attempt)) * 1000 > RESERVE_MS:
            self._sleep(pause_s)
            attempt += 1
            yield attempt

    def pause(self, attempt: int, remaining_ms: RemainingMs) -> bool:
        """Pause after try number `attempt`, or return False at once if that would eat into RESERVE_MS."""
        pause_s = self._pause_s(attempt)
        if remaining_ms() - pause_s * 1000 <= RESERVE_MS:
            return False
        self._sleep(pause_s)
        return True

    def _pause_s(self, attempt: int) -> float:
        longest_s: float = _FIRST_PAUSE_S * 2 ** min(attempt - 1, 10)
        return min(longest_s, _LONGEST_PAUSE_S) * self._jitter()
