"""When AWS says no: nothing is lost, nothing is decided twice, and the shard moves on as soon as it can."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from common.aws import RESERVE_MS, Backoff
from scoring.objects import pointer_reader
from scoring.publisher import CLOSED_S, Publisher
from scoring.wiring import Wiring
from stream_features.state import LabelRow
from streamscore.local.emulator import Emulator
from tests.integration.scoring_stack import ScoringStack, deliver, label, record, row, scoring_stack

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


@pytest.fixture
def stack(
    emulator: Emulator, client: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ScoringStack]:
    with scoring_stack(emulator, client, tmp_path, monkeypatch) as made:
        yield made


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


def test_a_throttled_write_returns_the_lowest_record_that_holds_it(stack: ScoringStack) -> None:
    batch = [record(7, [row("a")]), record(8, [row("b", HUGE), row("c", HUGE)]), record(9, [row("d", HUGE)])]
    wiring = stack.wired()
    between_tables(wiring, throttle("c"))
    assert deliver(wiring, *batch, remaining_ms=NO_TIME_MS) == ["8"]
    assert [item["pk"]["S"] for item in stack.items()] == ["a", "b", "d"]
    assert [event["detail"]["id"] for event in stack.published()] == ["b", "d"]
    items = stack.items()
    assert deliver(stack.wired(), *batch[1:]) == []
    assert [item for item in stack.items() if item["pk"]["S"] != "c"] == items
    assert [event["detail"]["id"] for event in stack.published()] == ["b", "c", "d"]


def test_a_throttled_label_is_delivered_again(stack: ScoringStack) -> None:
    batch = [record(7, [row("a")]), record(8, labels=[label("z")])]
    wiring = stack.wired()
    between_tables(wiring, throttle("z"))
    assert deliver(wiring, *batch, remaining_ms=NO_TIME_MS) == ["8"]
    assert deliver(stack.wired(), *batch) == []
    assert [item["pk"]["S"] for item in stack.items()] == ["a", "z"]


def test_what_stands_but_cannot_be_read_is_delivered_again(stack: ScoringStack) -> None:
    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "batch_get_item":
            raise ConnectTimeoutError(endpoint_url="dynamodb")
        return send(**request)

    deliver(stack.wired(), record(7, [row("a", HUGE)]))
    stack.published()
    wiring = stack.wired()
    between_tables(wiring, change)
    assert deliver(wiring, record(7, [row("a", HUGE)]), remaining_ms=NO_TIME_MS) == ["7"]
    assert stack.published() == []


def test_entries_the_bus_refuses_are_put_again_and_the_others_are_not(stack: ScoringStack) -> None:
    puts: list[list[str]] = []

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        entries = request["Entries"]
        puts.append([json.loads(entry["Detail"])["id"] for entry in entries])
        if len(puts) > 1:
            return send(Entries=entries)
        answer = send(Entries=entries[1:])
        answer["Entries"].insert(0, {"ErrorCode": "ThrottlingException"})
        return answer | {"FailedEntryCount": 1}

    wiring = stack.wired()
    between_bus(wiring, change)
    assert deliver(wiring, record(7, [row("a", HUGE), row("b", HUGE)])) == []
    assert puts == [["a", "b"], ["a"]]
    assert [event["detail"]["id"] for event in stack.published()] == ["a", "b"]


DEAD = [
    ConnectTimeoutError(endpoint_url="events"),
    ClientError({"Error": {"Code": "ThrottlingException"}}, "PutEvents"),
    ClientError({"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "PutEvents"),
    ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutEvents"),
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


@pytest.mark.parametrize("error", DEAD)
def test_a_dead_bus_loses_no_alert_and_holds_nothing_up(stack: ScoringStack, error: Exception) -> None:
    wiring = stack.wired()
    clock = Clock(wiring.publisher)
    alive = wiring.bus._events
    dead_bus(wiring, error)
    batch = [record(7, [row("a", PLAIN)]), record(8, [row("b", HUGE)]), record(9, [row("c", PLAIN)])]
    assert deliver(wiring, *batch, remaining_ms=NO_TIME_MS) == []
    assert len(stack.items()) == 3
    assert (stack.published(), stack.waiting()) == ([], 1)
    wiring.bus._events = alive
    clock.a_while()
    assert deliver(wiring, record(10, [row("d", PLAIN)])) == []
    assert [event["detail"]["id"] for event in stack.published()] == ["b"]
    assert stack.waiting() == 0


def test_what_a_dead_bus_missed_is_what_the_table_holds(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    clock, alive = Clock(wiring.publisher), wiring.bus._events
    deliver(wiring, record(1, [row("a", 900.0)]))
    (told,) = stack.published()
    dead_bus(wiring)
    again = [record(1, [row("a", 900.0)]), record(2, labels=[label("a")])]
    deliver(wiring, *again, remaining_ms=NO_TIME_MS)
    wiring.bus._events = alive
    clock.a_while()
    deliver(wiring)
    (event,) = stack.published()
    assert event["detail"] == told["detail"]


def test_a_dead_bus_is_left_alone_for_a_while_and_then_asked_again(stack: ScoringStack) -> None:
    wiring = stack.wired()
    clock, asked = Clock(wiring.publisher), dead_bus(wiring)
    rows = [row(f"a{n:02}", HUGE) for n in range(25)]
    deliver(wiring, record(1, rows), remaining_ms=NO_TIME_MS)
    first = " ".join(f"a{n:02}" for n in range(10))
    assert asked == [first], "where nobody listens, each further call would wait as long"
    deliver(wiring, record(2, [row("b", HUGE)]), remaining_ms=NO_TIME_MS)
    assert asked == [first]
    clock.a_while()
    deliver(wiring, record(3, [row("c", HUGE)]), remaining_ms=NO_TIME_MS)
    assert asked[1] == "c"
    assert stack.waiting() == 3


def test_the_queue_is_emptied_however_much_waits(stack: ScoringStack) -> None:
    wiring = stack.wired()
    clock, alive = Clock(wiring.publisher), wiring.bus._events
    dead_bus(wiring)
    ids = [f"e{n:03}" for n in range(230)]
    for n in range(0, 230, 10):
        deliver(wiring, record(n, [row(id_, HUGE) for id_ in ids[n : n + 10]]), remaining_ms=NO_TIME_MS)
    assert stack.waiting() == 23
    wiring.bus._events = alive
    clock.a_while()
    deliver(wiring)
    assert [event["detail"]["id"] for event in stack.published()] == ids
    assert stack.waiting() == 0


def test_with_bus_and_queue_dead_the_decision_stands_and_its_record_comes_again(stack: ScoringStack) -> None:
    wiring = stack.wired()
    dead_bus(wiring)
    queue = wiring.publisher._queue
    queue._sqs = lambda: Between(stack.client("sqs"), lambda operation, request, send: _raise(DEAD[0]))
    batch = [record(7, [row("a", PLAIN)]), record(8, [row("b", HUGE)])]
    assert deliver(wiring, *batch, remaining_ms=NO_TIME_MS) == ["8"]
    assert len(stack.items()) == 2
    assert deliver(stack.wired(), *batch[1:]) == []
    assert [event["detail"]["id"] for event in stack.published()] == ["b"]


def _raise(error: Exception) -> Any:
    raise error


def test_an_entry_that_the_bus_refuses_for_good_does_not_close_it(stack: ScoringStack) -> None:
    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        bad = [json.loads(entry["Detail"])["id"] == "bad" for entry in request["Entries"]]
        good = [entry for entry, no in zip(request["Entries"], bad, strict=True) if not no]
        answers = iter(send(Entries=good)["Entries"] if good else [])
        return {"Entries": [{"ErrorCode": "MalformedDetail"} if no else next(answers) for no in bad]}

    wiring = stack.wired()
    between_bus(wiring, change)
    assert deliver(wiring, record(7, [row("bad", HUGE), row("good", HUGE)]), remaining_ms=NO_TIME_MS) == []
    assert deliver(wiring, record(8, [row("next", HUGE)]), remaining_ms=NO_TIME_MS) == []
    assert [event["detail"]["id"] for event in stack.published()] == ["good", "next"]
    assert stack.waiting() == 1


def test_a_message_that_is_none_of_ours_is_left_to_the_undelivered(stack: ScoringStack) -> None:
    url = stack.settings.unpublished_queue
    stack.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
    wiring = stack.wired()
    clock = Clock(wiring.publisher)
    clock.a_while()
    assert deliver(wiring, record(1, [row("a", HUGE)])) == []
    assert [event["detail"]["id"] for event in stack.published()] == ["a"]


@pytest.mark.parametrize("moment", [1, 2])
def test_a_decision_that_comes_while_a_label_is_written_gets_it(stack: ScoringStack, moment: int) -> None:
    writes = 0

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        nonlocal writes
        writes += 1
        if writes == moment:
            deliver(stack.wired(), record(1, [row("a")]))
        return send(**request)

    wiring = stack.wired()
    between_tables(wiring, change)
    deliver(wiring, record(7, labels=[label("a")]))
    (item,) = stack.items()
    assert item["label"] == {"BOOL": True}
    assert "scored_at" in item


@pytest.mark.parametrize("before", [[], [label("a", True, 1000)]])
def test_a_later_label_that_comes_between_is_not_overwritten(
    stack: ScoringStack, before: list[LabelRow]
) -> None:
    writes = 0

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        nonlocal writes
        writes += operation == "batch_execute_statement"
        if writes == 1:
            writes += 1
            deliver(stack.wired(), record(1, labels=[label("a", False, 3000)]))
        return send(**request)

    deliver(stack.wired(), record(1, [row("a")], before))
    wiring = stack.wired()
    between_tables(wiring, change)
    assert deliver(wiring, record(7, labels=[label("a", True, 2000)])) == []
    assert stack.items()[0]["label"] == {"BOOL": False}


def test_labels_that_cannot_be_read_are_delivered_again(stack: ScoringStack) -> None:
    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "batch_get_item":
            raise ConnectTimeoutError(endpoint_url="dynamodb")
        return send(**request)

    wiring = stack.wired()
    between_tables(wiring, change)
    batch = [record(7, [row("a")]), record(8, labels=[label("z")])]
    assert deliver(wiring, *batch, remaining_ms=NO_TIME_MS) == ["8"]


def test_unreadable_pointers_keep_the_running_model(stack: ScoringStack, tmp_path: Path) -> None:
    version = stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a")]))
    wiring.serving._read_pointers = pointer_reader(Throttled(), "/p")
    wiring.serving.expire()
    deliver(wiring, record(2, [row("b")]))
    assert [item["model"]["S"] for item in stack.items()] == [version, version]


def test_a_cold_start_without_pointers_falls_back_and_tries_again_soon(
    stack: ScoringStack, tmp_path: Path
) -> None:
    version = stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    working, wiring.serving._read_pointers = (
        wiring.serving._read_pointers,
        pointer_reader(Throttled(), "/p"),
    )
    now_s = 100.0
    wiring.serving._clock_s = lambda: now_s
    deliver(wiring, record(1, [row("a")]))
    assert stack.items()[0]["reasons"] == {"L": [{"S": "model_unavailable"}]}
    wiring.serving._read_pointers = working
    now_s += 5.0
    deliver(wiring, record(2, [row("b")]))
    assert stack.items()[1]["model"] == {"S": version}


class Throttled:
    """An SSM that has no time."""

    def get_parameters(self, **request: Any) -> Any:
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "GetParameters")
