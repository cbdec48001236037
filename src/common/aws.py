"""Calling AWS from a function: clients, what is worth asking again, and for how long.

Clients have botocore's own retries off. What is throttled or unanswered is tried again here, with jittered
back-off, until the caller's time is nearly up, so that a partial failure can still be returned.
"""

import functools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

RESERVE_MS = 5_000
MOST_CONNECTIONS = 8
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1, 4

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


def client(service: str, attempts: int = 1) -> Any:
    """A low-level client for a function: short time-outs, and no retries of its own unless told."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=MOST_CONNECTIONS,
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        parameter_validation=False,  # a fifth of the client's CPU; parameters are made by code, not by users
    )
    return _session().create_client(service, config=config)


@functools.cache
def _session() -> Any:
    """One for all clients: each reads botocore's 1.2 MB of endpoints anew (4 clients: 415 ms CPU, so 122)."""
    return botocore.session.get_session()


def answer_of[T](call: Callable[[], T]) -> T | None:
    """The call's answer, or None if asking again can help; a bug or a missing permission is raised."""
    try:
        return call()
    except (HTTPClientError, ConnectionError):
        return None
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= 500 or is_throttle(error.response["Error"]["Code"]):
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
