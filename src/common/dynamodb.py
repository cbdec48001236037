"""DynamoDB for the hot path: strongly consistent batch reads, conditional PartiQL writes, 8 calls at a time.

One botocore client with its own retries off: what is throttled or unanswered is tried again here, with
jittered back-off, until the caller's time is nearly up. A write whose answer was lost is sent again too; its
condition then fails, which the caller reads as a conflict and settles by reading again.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any, Protocol

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from common.errors import TransientError

WIDTH = 8
KEYS_PER_READ, STATEMENTS_PER_WRITE = 100, 25
RESERVE_MS = 5_000  # back-off stops with this much left, so that the partial failure can still be returned

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_RETRYABLE = frozenset(
    (
        *("ThrottlingException", "ThrottlingError", "RequestLimitExceeded"),
        *("ProvisionedThroughputExceededException", "ProvisionedThroughputExceeded"),
        *("TransactionConflictException", "TransactionConflict", "ReplicatedWriteConflictException"),
        *("InternalServerError", "InternalFailure", "ServiceUnavailable", "500", "503"),
    )
)
RemainingMs = Callable[[], float]


class Outcome(Enum):
    """What became of one conditional statement.

    THROTTLED: not acknowledged before time was up; it may still land, which its condition makes harmless.
    """

    OK = "ok"
    CONDITION_FAILED = "condition_failed"
    DUPLICATE = "duplicate"
    THROTTLED = "throttled"


_OUTCOMES = {"ConditionalCheckFailed": Outcome.CONDITION_FAILED, "DuplicateItem": Outcome.DUPLICATE}


@dataclass(frozen=True, slots=True)
class Statement:
    """One PartiQL statement, its parameters as attribute values, and about how many bytes it writes."""

    text: str
    parameters: list[dict[str, Any]]
    size: int = 0


class Meter(Protocol):
    """Who is told what the calls consumed (common.telemetry's meter)."""

    def dynamodb_write(self, response: Mapping[str, Any], *, items: Iterable[int] = ()) -> None:
        """A write's answer, and the sizes of what was sent."""

    def dynamodb_read(self, response: Mapping[str, Any], *, asked: int = 1, consistent: bool = True) -> None:
        """A read's answer."""


def client(service: str = "dynamodb") -> Any:
    """A low-level client for a function: short time-outs and no retries of its own."""
    config = Config(
        retries={"total_max_attempts": 1},
        max_pool_connections=WIDTH,
        connect_timeout=1,
        read_timeout=4,
        parameter_validation=False,  # a fifth of the client's CPU; parameters are made by code, not by users
    )
    return botocore.session.get_session().create_client(service, config=config)


class DynamoDB:
    """A client and the threads that call it; `sleep` and `jitter` (in [0, 1)) are arguments for tests."""

    def __init__(
        self,
        dynamodb_client: Any,
        meter: Callable[[], Meter] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = dynamodb_client
        self._meter = meter
        self._sleep = sleep
        self._jitter = jitter
        self._threads = ThreadPoolExecutor(WIDTH, thread_name_prefix="dynamodb")

    def batch_get(
        self, table: str, keys: Sequence[str], attributes: Sequence[str], remaining_ms: RemainingMs
    ) -> list[dict[str, Any]]:
        """Attributes of the items of `keys` (`pk`) that exist, in no order; TransientError when late."""
        chunks = _chunks(keys, KEYS_PER_READ)
        return list(chain(*self._each(lambda c: self._get(table, c, attributes, remaining_ms), chunks)))

    def execute(self, statements: Sequence[Statement], remaining_ms: RemainingMs) -> list[Outcome]:
        """Run the statements, each on its own terms; one outcome a statement, in order."""
        chunks = _chunks(statements, STATEMENTS_PER_WRITE)
        return list(chain(*self._each(lambda c: self._write(c, remaining_ms), chunks)))

    def pause(self, attempt: int) -> None:
        """Wait before try number `attempt` (from 1): full jitter under a bound that doubles."""
        self._sleep(self._pause_s(attempt))

    def _pause_s(self, attempt: int) -> float:
        longest_s: float = _FIRST_PAUSE_S * 2 ** min(attempt - 1, 10)
        return min(longest_s, _LONGEST_PAUSE_S) * self._jitter()

    def _each[C, R](self, call: Callable[[C], R], chunks: list[C]) -> list[R]:
        return list(self._threads.map(call, chunks)) if len(chunks) > 1 else [call(c) for c in chunks]

    def _get(
        self, table: str, keys: Sequence[str], attributes: Sequence[str], remaining_ms: RemainingMs
    ) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        names = {f"#{n}": name for n, name in enumerate(attributes)}
        asked = {
            "ProjectionExpression": ",".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": True,
        }
        wanted: Any = {table: {"Keys": [{"pk": {"S": key}} for key in keys], **asked}}
        for _ in self._tries(remaining_ms):
            answer = self._call("batch_get_item", RequestItems=wanted)
            if answer is None:
                continue
            if self._meter:
                self._meter().dynamodb_read(answer, asked=len(wanted[table]["Keys"]))
            items += answer["Responses"].get(table, ())
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return items
        raise TransientError(f"{table}: a read was not answered before the invocation's time was up")

    def _write(self, statements: Sequence[Statement], remaining_ms: RemainingMs) -> list[Outcome]:
        outcomes = [Outcome.THROTTLED] * len(statements)
        todo = list(range(len(statements)))
        for _ in self._tries(remaining_ms):
            request = [
                {"Statement": statements[n].text, "Parameters": statements[n].parameters} for n in todo
            ]
            answer = self._call("batch_execute_statement", Statements=request)
            if answer is None:
                continue
            if self._meter:
                self._meter().dynamodb_write(answer, items=[statements[n].size for n in todo])
            for n, response in zip(todo, answer["Responses"], strict=True):
                outcomes[n] = _outcome(response.get("Error"))
            todo = [n for n in todo if outcomes[n] is Outcome.THROTTLED]
            if not todo:
                break
        return outcomes

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any] | None:
        """The answer, or None if asking again can help; a bug or a missing permission is raised."""
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(
                **arguments, ReturnConsumedCapacity="TOTAL"
            )
        except HTTPClientError:
            return None
        except ClientError as error:
            if error.response["Error"]["Code"] in _RETRYABLE:
                return None
            raise
        return answer

    def _tries(self, remaining_ms: RemainingMs) -> Iterator[int]:
        """1, 2, … with a pause between, until a pause would eat into the reserve; at least one."""
        attempt = 1
        yield attempt
        while remaining_ms() - (pause_s := self._pause_s(attempt)) * 1000 > RESERVE_MS:
            self._sleep(pause_s)
            attempt += 1
            yield attempt


def _outcome(error: dict[str, Any] | None) -> Outcome:
    """Raises for an error that neither a retry nor a re-read can mend."""
    if error is None:
        return Outcome.OK
    code = error.get("Code", "")
    if code in _RETRYABLE:
        return Outcome.THROTTLED
    if code not in _OUTCOMES:
        raise RuntimeError(f"a PartiQL statement was refused: {code}: {error.get('Message')}")
    return _OUTCOMES[code]


def _chunks[T](things: Sequence[T], size: int) -> list[Sequence[T]]:
    return [things[start : start + size] for start in range(0, len(things), size)]
