"""The conditions under which an item is written, as DynamoDB understands them."""

import msgspec
import pytest

from stream_features import state
from stream_features.handler import Runtime
from stream_features.protocol import Saved
from stream_features.state import Out
from stream_features.store import StateTable
from stream_features.turn import Write
from tests.integration.stream_runtime import a_minute, items, runtime

__all__ = ["items", "runtime"]


def write(read_v: int, v: int, out: bytes | None = None) -> Write:
    return Write("card#1", read_v, v, b"w", b"s", 99, out)


@pytest.fixture
def table(runtime: Runtime) -> StateTable:
    return StateTable(runtime.dynamodb, runtime.state_table, a_minute)


def test_an_item_is_made_only_where_there_is_none_and_replaced_only_as_it_was_read(table, items):
    assert table.save([write(0, 1000)]) == [Saved.DONE]
    assert table.save([write(0, 2000)]) == [Saved.CONFLICT]
    assert table.save([write(999, 1001)]) == [Saved.CONFLICT]
    assert table.save([write(1000, 1001)]) == [Saved.DONE]
    assert table.save([write(1000, 1001)]) == [Saved.CONFLICT]
    assert table.read(["card#1", "card#2"]) == {"card#1": state.Stored(1001, b"w", b"s")}


def test_a_write_to_an_item_that_is_gone_is_a_conflict_and_makes_none(table, items):
    assert table.save([write(1000, 1001)]) == [Saved.CONFLICT]
    assert items() == {}


def test_rows_do_not_outlive_the_write_that_carried_them(table, items):
    out = msgspec.msgpack.encode(Out(1, "sha", (), ()))
    table.save([write(0, 1000, out)])
    assert items()["card#1"]["out"]["B"] == out
    table.save([write(1000, 1001)])
    assert "out" not in items()["card#1"]
