"""No item outgrows DynamoDB's 400 KB: rows of one entity are written in several flushes, in order."""

import json
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.errors import NoAnswerError
from stream_features.events import decoder
from stream_features.handler import apply_batch
from stream_features.spec import parse
from tests.integration.stream_runtime import (
    NOW_MS,
    a_minute,
    event,
    images,
    quarantined,
    rows_of,
    runtime,
    sizeof,
    vector,
)
from tests.stream_events import aggregate, kinesis_event

__all__ = ["quarantined", "runtime"]


def aggregates(batch: list[dict[str, Any]], size: int) -> list[bytes | dict[str, Any]]:
    """The batch as KPL aggregates of `size`; 1 for plain records."""
    if size == 1:
        return [*batch]
    encoded = [json.dumps(each).encode() for each in batch]
    return [aggregate(*encoded[n : n + size]) for n in range(0, len(encoded), size)]


@pytest.mark.parametrize("size", [1, 250])
def test_rows_that_would_outgrow_an_item_are_written_in_several_flushes_in_order(size, runtime, emulator):
    """4 MB of rows, of one card but for a few between; each flush is a write, and none is near 400 KB."""
    batch = [event(f"e{n:04}", "c2" if n % 100 == 7 else "c1", note="n" * 1000) for n in range(4000)]
    lambda_event = kinesis_event(aggregates(batch, size), NOW_MS)
    assert apply_batch(lambda_event, runtime, a_minute) == {"batchItemFailures": []}
    for card, own in (("c1", 3960), ("c2", 40)):
        rows = [row for row in rows_of(emulator, runtime) if row.entities[0] == card]
        assert [row.id for row in rows] == [e["id"] for e in batch if e["card"] == card]
        assert [vector(row)[0] for row in rows] == list(range(1, own + 1))
    sizes = [sizeof(image) for image in images(emulator, runtime)]
    assert max(sizes) < 400 * 1024


def test_a_flush_that_fails_returns_its_first_record_and_what_follows_is_delivered_again_in_order(
    runtime, emulator
):
    """Whatever call is the last that DynamoDB answers, nothing is lost and nothing comes twice."""
    batch = [event(f"e{n:03}", note="n" * 1000) for n in range(600)]
    pending, deliveries = kinesis_event(aggregates(batch, 100), NOW_MS)["Records"], 0
    while pending:
        deliveries += 1
        stopped = replace(runtime, dynamodb=DynamoDB(Stopping(after=4 * deliveries)))
        answer = apply_batch({"Records": pending}, stopped, lambda: 0)
        again = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        pending = [r for r in pending if again and r["kinesis"]["sequenceNumber"] >= again[0]]
    assert deliveries > 1
    rows = rows_of(emulator, runtime)
    assert [(row.id, vector(row)[0]) for row in rows] == [(e["id"], n) for n, e in enumerate(batch, 1)]


class Stopping(Wire):
    """A client whose connection breaks after some calls."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    def each(
        self, operation: str, requests: Sequence[dict[str, Any]], most: int
    ) -> list[Callable[[], dict[str, Any]]]:
        kept = requests[: max(self._left, 0)]
        self._left -= len(requests)
        return super().each(operation, kept, most) + [_hung_up] * (len(requests) - len(kept))


def _hung_up() -> dict[str, Any]:
    raise NoAnswerError("hung up")


def test_a_row_that_no_item_can_carry_is_quarantined(runtime, quarantined, emulator):
    names = [f"k{n}" for n in range(300)]
    fields = ", ".join(f'{name} = "string"' for name in names)
    wide = parse(WIDE.format(fields=fields, keep=names))
    wide_runtime = replace(runtime, spec=wide, decoder=decoder(wide))
    least = {"id": "a", "at": NOW_MS, "card": "c"}
    batch = [{**least, "id": kept, **dict.fromkeys(names, kept * 1000)} for kept in "ab"]
    batch[0] = {**batch[0], **dict.fromkeys(names[100:], "")}
    assert apply_batch(kinesis_event(batch, NOW_MS), wide_runtime, a_minute) == {"batchItemFailures": []}
    assert [(line["reason"], json.loads(b64decode(line["payload"]))["id"]) for line in quarantined()] == [
        ("out_of_range", "b")
    ]
    assert [row.id for row in rows_of(emulator, runtime)] == ["a"]


WIDE = """
[event]
id = "id"
time = "at"
keep = {keep}
fields = {{ {fields} }}
[entities]
card = "card"
[[feature]]
name = "card_count_{{window}}"
entity = "card"
op = "count"
windows = ["1d"]
"""
