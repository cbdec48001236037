"""When AWS says no: nothing is lost, nothing is decided twice, and the shard moves on as soon as it can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import NoAnswerError, ServiceError
from scoring.objects import pointer_reader
from stream_features.state import LabelRow
from tests.integration.scoring_faults import (
    HUGE,
    NO_TIME_MS,
    between_tables,
    throttle,
)
from tests.integration.scoring_stack import ScoringStack, deliver, fresh_stack, label, record, row

stack = fresh_stack


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
            raise NoAnswerError("dynamodb")
        return send(**request)

    deliver(stack.wired(), record(7, [row("a", HUGE)]))
    stack.published()
    wiring = stack.wired()
    between_tables(wiring, change)
    assert deliver(wiring, record(7, [row("a", HUGE)]), remaining_ms=NO_TIME_MS) == ["7"]
    assert stack.published() == []


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
            raise NoAnswerError("dynamodb")
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
        raise ServiceError("GetParameters", "ThrottlingException", "", 400)
