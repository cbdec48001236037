"""DynamoDB for the hot path: strongly consistent batch reads, conditional PartiQL writes, 8 calls at a time.

A write whose answer was lost is sent again like one that was throttled; its condition then fails, which the
caller reads as a conflict and settles by reading again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from common.aws import MOST_CONNECTIONS, RESERVE_MS, Backoff, RemainingMs, answer_of, client, is_throttle
from common.errors import TransientError
from common.tracing import aws_call

__all__ = ["RESERVE_MS", "DynamoDB", "Outcome", "RemainingMs", "Statement", "client"]

KEYS_PER_READ, STATEMENTS_PER_WRITE = 100, 25


class Outcome(Enum):
    """What became of one conditional statement.

    THROTTLED: not acknowledged before time was up; it may still land, which its condition makes harmless.
    """

    OK = "ok"
    CONDITION_FAILED = "condition_failed"
    DUPLICATE = "duplicate"
    THROTTLED = "throttled"


_API_NAMES = {"batch_get_item": "BatchGetItem", "batch_execute_statement": "BatchExecuteStatement"}
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


class Caller(Protocol):
    """Who makes the calls: `dynamodb_wire.Wire`."""

    def each(
        self, operation: str, requests: Sequence[Mapping[str, Any]], most: int
    ) -> Sequence[Callable[[], dict[str, Any]]]:
        """Make the calls, at most `most` at once. Each answer as a call that returns it, or raises."""


class DynamoDB:
    """What the hot path asks of DynamoDB."""

    def __init__(
        self,
        caller: Caller,
        meter: Callable[[], Meter] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._caller = caller
        self._meter = meter
        self.backoff = backoff or Backoff()

    def batch_get(
        self, table: str, keys: Sequence[str], attributes: Sequence[str], remaining_ms: RemainingMs
    ) -> list[dict[str, Any]]:
        """Attributes of the items of `keys` (`pk`) that exist, in no order; TransientError when late."""
        names = {f"#{n}": name for n, name in enumerate(attributes)}
        asked = {
            "ProjectionExpression": ",".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": True,
        }
        items: list[dict[str, Any]] = []
        wanted: list[dict[str, Any]] = [
            {table: {"Keys": [{"pk": {"S": key}} for key in chunk], **asked}}
            for chunk in _chunks(keys, KEYS_PER_READ)
        ]
        for _ in self.backoff.tries(remaining_ms):
            answers = self._calls("batch_get_item", [{"RequestItems": each} for each in wanted])
            left = []
            for each, answer in zip(wanted, answers, strict=True):
                if answer is None:
                    left.append(each)
                    continue
                if self._meter:
                    self._meter().dynamodb_read(answer, asked=len(each[table]["Keys"]))
                items += answer["Responses"].get(table, ())
                if unprocessed := answer.get("UnprocessedKeys"):
                    left.append(unprocessed)
            wanted = left
            if not wanted:
                return items
        raise TransientError(f"{table}: a read was not answered before the invocation's time was up")

    def execute(self, statements: Sequence[Statement], remaining_ms: RemainingMs) -> list[Outcome]:
        """Run the statements, each on its own terms; one outcome a statement, in order."""
        outcomes = [Outcome.THROTTLED] * len(statements)
        todo = list(range(len(statements)))
        for _ in self.backoff.tries(remaining_ms):
            chunks = _chunks(todo, STATEMENTS_PER_WRITE)
            requests = [{"Statements": [_request(statements[n]) for n in chunk]} for chunk in chunks]
            for chunk, answer in zip(chunks, self._calls("batch_execute_statement", requests), strict=True):
                if answer is None:
                    continue
                if self._meter:
                    self._meter().dynamodb_write(answer, items=[statements[n].size for n in chunk])
                for n, response in zip(chunk, answer["Responses"], strict=True):
                    outcomes[n] = _outcome(response.get("Error"))
            todo = [n for n in todo if outcomes[n] is Outcome.THROTTLED]
            if not todo:
                break
        return outcomes

    def _calls(self, operation: str, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
        """The answer to each, or None if asking again can help."""
        metered = [{**request, "ReturnConsumedCapacity": "TOTAL"} for request in requests]
        with aws_call("DynamoDB", _API_NAMES[operation], table_name=_table(requests)) as calling:
            answers = [answer_of(call) for call in self._caller.each(operation, metered, MOST_CONNECTIONS)]
            calling.annotate(calls=len(requests))
            calling.flag(throttle=None in answers)
        return answers


def _table(requests: Sequence[dict[str, Any]]) -> str | None:
    """The table a read is of; a statement names its own."""
    return next((table for request in requests for table in request.get("RequestItems", ())), None)


def _request(statement: Statement) -> dict[str, Any]:
    return {"Statement": statement.text, "Parameters": statement.parameters}


def _outcome(error: dict[str, Any] | None) -> Outcome:
    """Raises for an error that neither a retry nor a re-read can mend."""
    if error is None:
        return Outcome.OK
    code = error.get("Code", "")
    if is_throttle(code):
        return Outcome.THROTTLED
    if code not in _OUTCOMES:
        raise RuntimeError(f"a PartiQL statement was refused: {code}: {error.get('Message')}")
    return _OUTCOMES[code]


def _chunks[T](things: Sequence[T], size: int) -> list[Sequence[T]]:
    return [things[start : start + size] for start in range(0, len(things), size)]
