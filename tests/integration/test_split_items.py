"""A shop that 17 of 20 shards write at once, over DynamoDB: its items, and everything that reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from common.dynamodb import DynamoDB
from stream_features.sharing import is_sub_key, main_key, sub_keys
from stream_features.state import CUTOVER_KEY, Stored, is_split
from stream_features.store import read_items, read_states
from streamscore.demo.contents import state_blobs
from streamscore.local.emulator import Emulator
from streamscore.parity import served as known
from streamscore.room_client import RoomClient
from streamscore.training.final_states import final_states
from streamscore.training.load_state import NO_STATE, Loaded, load
from tests.integration.test_emulator import table_with_stream
from tests.integration.test_load_state import SPEC, Target, as_records, handler, items, served
from tests.stream_events import kinesis_event

T0_MS, DAY_MS = 1_764_000_000_000, 86_400_000
ROWS = [
    {
        "id": f"e{n}",
        "at": T0_MS + n * DAY_MS // 40,
        "card": f"c{n % 30}",
        "shop": "s0" if n % 3 else "s1",
        "amount": round(n * 1.25 % 91, 2),
        "fraud": n % 4 == 0,
    }
    for n in range(90)
]
END_MS = ROWS[-1]["at"]


def stream(stack: Target, rows: list[dict[str, Any]], shards: int, first: int = 1) -> None:
    """Record after record, each of its card's shard; all arrive within a second."""
    apply = handler(stack)
    for n, record in enumerate(as_records(rows, END_MS), first):
        shard = f"shardId-{int(record['card'][1:]) % shards:012}"
        assert apply(kinesis_event([record], END_MS, first=n, shard=shard)) == {"batchItemFailures": []}


def made(emulator: Emulator, client: Callable[[str], Any]) -> Target:
    return Target(client, {"StateTableName": table_with_stream(emulator.endpoint)})


def minute() -> float:
    return 60_000


@pytest.fixture(scope="module")
def streamed(emulator: Emulator, client: Callable[[str], Any]) -> dict[int, Target]:
    """The same records through one shard and through twenty."""
    stacks = {shards: made(emulator, client) for shards in (1, 20)}
    for shards, stack in stacks.items():
        stream(stack, ROWS, shards)
    return stacks


def test_a_split_shop_serves_and_stores_what_one_item_would(emulator, streamed):
    assert served(emulator, streamed[20]) == served(emulator, streamed[1])
    whole, split = items(streamed[1]), items(streamed[20])
    assert {main_key(pk) for pk in split if is_sub_key(pk)} == {"shop#s0"}
    assert {pk for pk in split if not is_sub_key(pk)} == set(whole)
    table = DynamoDB(RoomClient(streamed[20].client("dynamodb"))), streamed[20].outputs["StateTableName"]
    states = read_states(*table, SPEC, sorted(whole), minute)
    assert states == state_blobs(streamed[1], SPEC)
    assert states == state_blobs(streamed[20], SPEC)


def test_one_item_is_asked_for_alone_and_a_split_one_with_its_sub_items(streamed):
    found = read_items(
        DynamoDB(RoomClient(streamed[20].client("dynamodb"))),
        streamed[20].outputs["StateTableName"],
        ["shop#s0", "shop#s1", "shop#s9", "card#c1"],
        minute,
    )
    there = [sub for sub in sub_keys("shop#s0") if sub in items(streamed[20])]
    assert len(there) > 8
    assert {key: len(some) for key, some in found.items()} == {
        "shop#s0": 1 + len(there), "shop#s1": 1, "card#c1": 1
    }  # fmt: skip
    assert is_split(found["shop#s0"][0])


def test_parity_and_entity_see_all_shards_and_all_events_of_a_split_shop(streamed):
    split = known.known(streamed[20], SPEC, ["shop#s0"])["shop#s0"]
    whole = known.known(streamed[1], SPEC, ["shop#s0"])["shop#s0"]
    assert (split.shards, whole.shards) == (17, 1)
    assert (split.first_ms, split.last_ms) == (whole.first_ms, whole.last_ms)
    assert split.head_ms.tolist() == whole.head_ms.tolist()


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "events.parquet"
    pl.DataFrame(ROWS).with_columns(pl.from_epoch("at", "ms")).write_parquet(path)
    return path


def test_states_loaded_over_a_split_shop_take_the_place_of_all_its_items(emulator, client, history):
    stack, loaded = made(emulator, client), made(emulator, client)
    stream(stack, ROWS, 20)
    final = final_states(SPEC, history)
    assert load(stack, final).kept == 32
    assert load(stack, final, replace=True).kept == 0
    load(loaded, final)
    assert state_blobs(stack, SPEC) == state_blobs(loaded, SPEC)
    assert load(stack, final, replace=True) == Loaded(unchanged=32)
    after = items(stack)
    subs = [pk for pk in after if is_sub_key(pk)]
    assert len(subs) > 8
    assert all(after[pk]["s"]["B"] == NO_STATE for pk in subs)
    assert is_split(Stored(1, b"", after["shop#s0"]["s"]["B"]))
    more = [row | {"id": f"later {n}", "at": END_MS, "shop": "s0"} for n, row in enumerate(ROWS[:9])]
    for target, shards in ((stack, 20), (loaded, 1)):
        stream(target, more, shards, first=5_000)
    assert state_blobs(stack, SPEC)["shop#s0"] == state_blobs(loaded, SPEC)["shop#s0"]
    assert CUTOVER_KEY not in items(stack)
