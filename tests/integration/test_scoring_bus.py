"""Reviews and blocks reach the bus whatever becomes of it, and it holds up nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.scoring_faults import (
    DEAD,
    HUGE,
    NO_TIME_MS,
    PLAIN,
    Between,
    Clock,
    between_bus,
    dead_bus,
    fail,
)
from tests.integration.scoring_stack import (
    ScoringStack,
    deliver,
    fresh_stack,
    label,
    record,
    row,
)

stack = fresh_stack


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
    queue._sqs = lambda: Between(stack.client("sqs"), lambda operation, request, send: fail(DEAD[0]))
    batch = [record(7, [row("a", PLAIN)]), record(8, [row("b", HUGE)])]
    assert deliver(wiring, *batch, remaining_ms=NO_TIME_MS) == ["8"]
    assert len(stack.items()) == 2
    assert deliver(stack.wired(), *batch[1:]) == []
    assert [event["detail"]["id"] for event in stack.published()] == ["b"]


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
