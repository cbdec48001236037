"""Loaded states are those the stream would have made, and loading is safe to repeat."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from common.dynamodb import DynamoDB
from common.errors import InvalidInputError
from common.quarantine import Quarantine
from stream_features.events import decoder
from stream_features.handler import Runtime, apply_batch
from stream_features.spec import parse
from stream_features.state import CUTOVER_KEY, decode_out
from streamscore.local.emulator import Emulator
from streamscore.room_client import RoomClient
from streamscore.training import cutover
from streamscore.training.backfill import backfill
from streamscore.training.final_states import final_states
from streamscore.training.load_state import Loaded, load
from tests.integration.test_emulator import stream_records, table_with_stream
from tests.stream_events import kinesis_event

SPEC = parse(
    """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "1d"
fields = { amount = "decimal(2)" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "card_mean_{window}"
entity = "card"
op = "mean"
of = "amount"
windows = ["2d", "7d"]
[[feature]]
name = "shop_risk_{window}"
entity = "shop"
op = "label_rate"
windows = ["7d"]
delay = "1d"
"""
)
T0_MS = 1_764_000_000_000
DAY_MS = 86_400_000
ROWS = [
    {
        "id": f"e{n}",
        "at": T0_MS + n * DAY_MS // 40,
        "card": f"c{n % 7}",
        "shop": f"s{n % 3}",
        "amount": n / 4,
        "fraud": n % 5 == 0,
    }
    for n in range(300)
]
END_MS = ROWS[-1]["at"]


@dataclass
class Target:
    """As much of a stack as loading needs."""

    make_client: Callable[[str], Any]
    outputs: dict[str, str]

    def client(self, service: str) -> Any:
        return self.make_client(service)


@pytest.fixture
def stack(emulator: Emulator, client: Callable[[str], Any]) -> Target:
    return Target(client, {"StateTableName": table_with_stream(emulator.endpoint)})


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "events.parquet"
    pl.DataFrame(ROWS).with_columns(pl.from_epoch("at", "ms")).write_parquet(path)
    return path


def items(stack: Target) -> dict[str, Any]:
    """Every entity's item."""
    found = stack.client("dynamodb").scan(TableName=stack.outputs["StateTableName"])["Items"]
    return {item["pk"]["S"]: item for item in found if item["pk"]["S"] != CUTOVER_KEY}


def handler(stack: Target) -> Callable[[dict[str, Any]], dict[str, Any]]:
    quarantine = Quarantine(lambda: RoomClient(stack.client("s3")), "none", "stream_features")
    runtime = Runtime(
        SPEC,
        decoder(SPEC),
        DynamoDB(RoomClient(stack.client("dynamodb"))),
        stack.outputs["StateTableName"],
        quarantine,
    )
    return lambda event: apply_batch(event, runtime, lambda: 60_000)


def as_records(rows: list[dict[str, Any]], until_ms: int) -> list[dict[str, Any]]:
    """Events, and labels a day later, in the order of arrival: labels before events of the same instant."""
    events = [({k: v for k, v in row.items() if k != "fraud"}, row["at"], 1) for row in rows]
    labels = [
        ({**row, "type": "label", "label_time": row["at"] + DAY_MS}, row["at"] + DAY_MS, 0) for row in rows
    ]
    arrived = sorted((r for r in [*labels, *events] if r[1] <= until_ms), key=lambda r: (r[1], r[2]))
    return [record for record, _, _ in arrived]


def stream_all(stack: Target, rows: list[dict[str, Any]], until_ms: int) -> None:
    apply = handler(stack)
    records = as_records(rows, until_ms)
    for start in range(0, len(records), 100):
        batch = kinesis_event(records[start : start + 100], until_ms, first=1 + start)
        assert apply(batch) == {"batchItemFailures": []}


def test_a_loaded_item_is_byte_for_byte_the_one_the_stream_makes(stack, history, emulator, client):
    streamed = Target(client, {"StateTableName": table_with_stream(emulator.endpoint)})
    stream_all(streamed, ROWS, END_MS)
    assert load(stack, final_states(SPEC, history, END_MS)) == Loaded(written=10)
    assert {pk: item["s"] for pk, item in items(stack).items()} == {
        pk: item["s"] for pk, item in items(streamed).items()
    }


def test_the_stream_goes_on_from_loaded_items_as_if_it_had_been_there_from_the_start(
    stack, history, emulator, client
):
    cut_ms = T0_MS + 3 * DAY_MS
    load(stack, final_states(SPEC, history, cut_ms))
    before = len(as_records(ROWS, cut_ms))
    apply = handler(stack)
    later = as_records(ROWS, END_MS)[before:]
    assert apply(kinesis_event(later[:400], END_MS, first=1)) == {"batchItemFailures": []}
    assert apply(kinesis_event(later[400:], END_MS, first=501)) == {"batchItemFailures": []}
    whole = Target(client, {"StateTableName": table_with_stream(emulator.endpoint)})
    stream_all(whole, ROWS, END_MS)
    assert {pk: item["s"] for pk, item in items(stack).items()} == {
        pk: item["s"] for pk, item in items(whole).items()
    }


def test_a_second_run_changes_nothing(stack, history):
    result = final_states(SPEC, history)
    assert load(stack, result) == Loaded(written=10)
    before = items(stack)
    assert load(stack, result) == Loaded(unchanged=10)
    assert items(stack) == before


def test_loading_wakes_nobody(stack, history, emulator):
    load(stack, final_states(SPEC, history))
    images = stream_records(emulator.endpoint, stack.outputs["StateTableName"])
    assert len(images) == 10
    assert all("out" not in image["dynamodb"]["NewImage"] for image in images)


def test_a_run_goes_on_where_another_stopped(stack, history):
    result = final_states(SPEC, history)
    load(stack, result)
    for pk in ("card#c1", "shop#s2"):
        stack.client("dynamodb").delete_item(TableName=stack.outputs["StateTableName"], Key={"pk": {"S": pk}})
    assert load(stack, result) == Loaded(written=2, unchanged=8)


def test_an_event_of_the_history_is_a_duplicate_on_the_stream(stack, history):
    load(stack, final_states(SPEC, history))
    before = items(stack)
    handler(stack)(kinesis_event([{k: v for k, v in ROWS[-1].items() if k != "fraud"}], END_MS))
    assert items(stack) == before


def test_items_the_stream_has_written_are_kept_unless_replaced(stack, history):
    live = {"id": "live", "at": END_MS + 1, "card": "c1", "shop": "new", "amount": 1}
    handler(stack)(kinesis_event([live], END_MS))
    before = items(stack)["card#c1"]
    result = final_states(SPEC, history)
    assert load(stack, result) == Loaded(written=9, kept=1)
    assert items(stack)["card#c1"] == before
    assert load(stack, result, replace=True) == Loaded(written=1, unchanged=9)
    after = items(stack)["card#c1"]
    assert int(after["v"]["N"]) == int(before["v"]["N"]) + 1
    assert after["w"] == before["w"]
    assert "out" not in after
    assert set(items(stack)) >= {"shop#new"}


def served(emulator: Emulator, stack: Target) -> dict[str, list[bytes]]:
    """The feature vectors that went to scoring, by event id."""
    vectors: dict[str, list[bytes]] = {}
    for image in stream_records(emulator.endpoint, stack.outputs["StateTableName"]):
        out = image["dynamodb"]["NewImage"].get("out")
        for row in decode_out(bytes(out["B"])).rows if out else ():
            vectors.setdefault(row.id, []).append(row.vector)
    return vectors


def test_the_whole_file_on_the_stream_after_a_load_until_counts_nothing_twice(
    stack, history, emulator, client, tmp_path
):
    cut_ms = T0_MS + 3 * DAY_MS
    load(stack, final_states(SPEC, history, cut_ms))
    stream_all(stack, ROWS, END_MS)
    whole = Target(client, {"StateTableName": table_with_stream(emulator.endpoint)})
    stream_all(whole, ROWS, END_MS)
    assert {pk: item["s"] for pk, item in items(stack).items()} == {
        pk: item["s"] for pk, item in items(whole).items()
    }
    expected = backfill(SPEC, history)
    vectors = dict(zip(expected.ids, expected.features, strict=True))
    live = {row["id"]: [vectors[row["id"]].tobytes()] for row in ROWS if row["at"] > cut_ms}
    assert served(emulator, stack) == live


def test_loading_until_the_same_moment_again_changes_nothing(stack, history):
    final = final_states(SPEC, history, END_MS)
    assert load(stack, final).written == 10
    stream_all(stack, [ROWS[-1] | {"id": "later", "at": END_MS + 1}], END_MS + 1)
    before = items(stack)
    assert load(stack, final) == Loaded(unchanged=8, kept=2)
    assert items(stack) == before
    assert cutover.read(stack) == END_MS


def test_the_mark_never_moves_back_and_nothing_is_written_for_it(stack, history):
    load(stack, final_states(SPEC, history, END_MS))
    before = items(stack)
    with pytest.raises(InvalidInputError, match="2025-12-02T03:24:00.000"):
        load(stack, final_states(SPEC, history, END_MS - 1))
    with pytest.raises(InvalidInputError, match="never moves back"):
        cutover.write(stack, END_MS - 1)
    assert (items(stack), cutover.read(stack)) == (before, END_MS)
    load(stack, final_states(SPEC, history, END_MS + DAY_MS))
    assert cutover.read(stack) == END_MS + DAY_MS


def test_a_load_that_breaks_off_leaves_no_mark_and_the_next_run_ends_it(stack, history, monkeypatch):
    def broken_off(items: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamscore.training.load_state.ITEMS_PER_STEP", 3)
    final = final_states(SPEC, history, END_MS)
    with pytest.raises(KeyboardInterrupt):
        load(stack, final, advance=broken_off)
    assert (len(items(stack)), cutover.read(stack)) == (3, None)
    assert load(stack, final) == Loaded(written=7, unchanged=3)
    assert cutover.read(stack) == END_MS


def test_no_mark_is_set_over_items_the_stream_has_written(stack, history):
    stream_all(stack, [ROWS[0] | {"id": "live", "at": END_MS + 1}], END_MS + 1)
    final = final_states(SPEC, history, END_MS)
    with pytest.raises(InvalidInputError, match="2 items are kept"):
        load(stack, final)
    assert cutover.read(stack) is None
    load(stack, final, replace=True)
    assert cutover.read(stack) == END_MS
