"""Faults between scoring and AWS, for its tests."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from common.aws import RESERVE_MS, Backoff
from common.errors import NoAnswerError, ServiceError
from scoring.publisher import CLOSED_S, Publisher
from scoring.wiring import Wiring

HUGE, PLAIN = 6000.0, 10.0
NO_TIME_MS = RESERVE_MS + 1.0


class Between:
    """An AWS client with something in between: `change(operation, request, send)` answers in its place."""

    def __init__(self, client: Any, change: Callable[[str, dict[str, Any], Callable[..., Any]], Any]) -> None:
        self._client, self._change = client, change

    def __getattr__(self, operation: str) -> Any:
        send = getattr(self._client, operation)
        return lambda **request: self._change(operation, request, send)


class BetweenTables:
    """The same for the tables' caller, which makes many calls at once."""

    def __init__(self, caller: Any, change: Callable[[str, dict[str, Any], Callable[..., Any]], Any]) -> None:
        self._caller, self._change = caller, change

    def each(self, operation: str, requests: list[dict[str, Any]], most: int) -> list[Callable[[], Any]]:
        def send(**request: Any) -> Any:
            (answer,) = self._caller.each(operation, [request], most)
            return answer()

        return [partial(self._change, operation, request, send) for request in requests]


def between_tables(wiring: Wiring, change: Callable[..., Any]) -> None:
    wiring.db._caller = BetweenTables(wiring.db._caller, change)


def between_bus(wiring: Wiring, change: Callable[..., Any]) -> None:
    wiring.bus._events = Between(wiring.bus._events, change)
    wiring.bus._backoff = wiring.publisher._queue._backoff = Backoff(sleep=lambda _: None)


def throttle(id_: str) -> Callable[..., Any]:
    """Statements about this id are throttled, the others run."""

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation != "batch_execute_statement":
            return send(**request)
        refused = [{"S": id_} in statement["Parameters"] for statement in request["Statements"]]
        through = [s for s, no in zip(request["Statements"], refused, strict=True) if not no]
        answers = iter(send(Statements=through)["Responses"] if through else [])
        error = {"Error": {"Code": "ProvisionedThroughputExceeded", "Message": "slow down"}}
        return {"Responses": [error if no else next(answers) for no in refused]}

    return change


DEAD = [
    NoAnswerError("events"),
    ServiceError("PutEvents", "ThrottlingException", "", 400),
    ServiceError("PutEvents", "Odd", "", 503),
    ServiceError("PutEvents", "AccessDeniedException", "", 400),
]


class Clock:
    """What a publisher takes for the time of day."""

    def __init__(self, publisher: Publisher) -> None:
        self.now_s = 1000.0
        publisher._clock_s = lambda: self.now_s
        publisher._look_at_s = self.now_s + CLOSED_S[1]

    def a_while(self) -> None:
        self.now_s += CLOSED_S[1]


def dead_bus(wiring: Wiring, error: Exception = DEAD[0]) -> list[str]:
    """A bus that answers nothing; the ids it was asked to tell, call by call."""
    asked: list[str] = []

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        asked.append(" ".join(json.loads(entry["Detail"])["id"] for entry in request["Entries"]))
        raise error

    between_bus(wiring, change)
    return asked


def fail(error: Exception) -> Any:
    raise error
