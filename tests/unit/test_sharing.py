"""When a shared item is split, and which sub-item takes a record."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_features import verdict
from stream_features.protocol import Applied, Read, Saved, apply_delivery
from stream_features.sharing import (
    LIVE_S,
    SHARING,
    TOUCHED_FOR_MS,
    Sharing,
    has_too_many,
    is_sub_key,
    main_key,
    sub_keys,
    sub_number,
)
from stream_features.state import ABSENT, Item, Mark, Stored, decode_item, is_split, item_key
from stream_features.turn import ttl_s
from stream_features.verdict import Delivery
from tests.exactly_once import Table
from tests.exactly_once_streams import SPEC, T0_MS, correction, event, label

KEYS = ("customer#C1", "terminal#T")
AT_ONCE = Sharing(0, 3)


def written_by(arrivals_s: Sequence[int]) -> Item:
    """An item that as many shards have written, the last one now."""
    *others, own = arrivals_s
    marks = tuple(Mark(shard, b"\1", 0, at) for shard, at in enumerate(others, 1))
    return Item(1, mark=(2, 0), arrival_ms=own * 1000, other_marks=marks)


@pytest.mark.parametrize(
    ("arrivals_s", "split"),
    [
        ([100] * 16, False),
        ([100] * 17, True),
        ([100 - LIVE_S] * 16 + [100], True),
        ([100 - LIVE_S - 1] * 16 + [100], False),
        ([100] * 16 + [40], False),  # a lane behind the others
        ([100] * 17 + [40], True),
        ([99] * 8 + [10] * 100 + [100], False),
    ],
)
def test_an_item_is_split_when_more_than_sixteen_shards_have_just_written_it(arrivals_s, split):
    assert has_too_many(written_by(arrivals_s), SHARING) is split


names = st.from_regex(r"^[A-Za-z][A-Za-z0-9_]*$", fullmatch=True)
values = st.text(max_size=8) | st.sampled_from(["0/terminal#T", "/", "#", "0/#", "terminal#T"])


@given(names, values, names, values)
def test_no_entitys_key_is_a_sub_items(name, value, other, other_value):
    key = item_key(name, value)
    assert not is_sub_key(key)
    assert main_key(key) == key
    for sub in sub_keys(key):
        assert is_sub_key(sub)
        assert main_key(sub) == key
        assert sub != item_key(other, other_value)


def test_the_sub_item_follows_the_ranges_in_which_kinesis_hashes_partition_keys():
    """Of 32 even shards every two share a sub-item; of 24 each reaches two at most."""
    for shards, most in ((16, 1), (32, 1), (24, 2), (17, 2)):
        reached: dict[int, set[int]] = {}
        for n in range(2_000):
            key = f"customer {n}"
            reached.setdefault(sub_number(key, Sharing(16, shards)), set()).add(sub_number(key))
        assert max(map(len, reached.values())) == most
    assert {sub_number(str(n)) for n in range(500)} == set(range(16))
    assert sub_number("customer 1") == 1  # it must never change: records lie where it says


def apply(
    table: Table, records: Sequence[Any], first: int = 1, now_ms: int = T0_MS, shard: int = 1
) -> Applied:
    orders = [(first + n, 0) for n in range(len(records))]
    delivery = Delivery(1, orders[0], records, orders, [KEYS] * len(records))
    steps = apply_delivery(SPEC, delivery, now_ms, AT_ONCE)
    answer: Any = None
    while True:
        try:
            request = steps.send(answer)
        except StopIteration as end:
            return end.value
        if isinstance(request, Read):
            answer = {key: table.items[key] for key in request.keys if key in table.items}
        else:
            answer = [table.save(write) for write in request.writes]


def test_the_write_that_splits_an_item_holds_its_own_records_and_the_next_go_to_a_sub_item():
    table = Table()
    apply(table, [event("a", 1, "C1")])
    assert set(table.items) == set(KEYS)
    assert is_split(table.items["terminal#T"])
    apply(table, [event("b", 2, "C1")], first=2)
    (sub,) = table.items.keys() - set(KEYS)
    assert sub == f"{sub_number('C1', AT_ONCE)}/terminal#T"
    assert not is_split(table.items[sub])
    assert not is_split(table.items["customer#C1"])


@pytest.mark.parametrize(("later_ms", "touched"), [(TOUCHED_FOR_MS - 1, False), (TOUCHED_FOR_MS, True)])
def test_a_split_item_is_touched_once_a_day_and_outlives_its_sub_items(later_ms, touched):
    table = Table()
    apply(table, [event("a", 1, "C1")])
    before = table.items["terminal#T"]
    now_ms = T0_MS + later_ms
    applied = apply(table, [event("b", 2, "C1")], first=2, now_ms=now_ms)
    main = [write for write in applied.done if write.pk == "terminal#T"]
    assert len(main) == touched
    assert table.items["terminal#T"] == before._replace(v=now_ms if touched else before.v)
    for write in main:
        assert write.ttl_s == ttl_s(SPEC, 1, now_ms + 2 * TOUCHED_FOR_MS)
    assert apply(table, [event("c", 3, "C1")], first=3, now_ms=now_ms + 1).conflicts == 0


def test_no_sub_item_is_written_while_a_touch_is_not_acknowledged():
    table = Table()
    apply(table, [event("a", 1, "C1")])
    steps = apply_delivery(
        SPEC,
        Delivery(1, (2, 0), [event("b", 2, "C1")], [(2, 0)], [KEYS]),
        T0_MS + TOUCHED_FOR_MS,
        AT_ONCE,
    )
    request: Any = next(steps)
    asked = []
    with pytest.raises(StopIteration) as end:
        while True:
            if isinstance(request, Read):
                request = steps.send({k: table.items[k] for k in request.keys if k in table.items})
                continue
            asked += [write.pk for write in request.writes]
            late = request.writes[0].pk == "terminal#T"
            saved = [Saved.UNFINISHED if late else table.save(write) for write in request.writes]
            request = steps.send(saved)
    assert asked == ["customer#C1", "terminal#T"]
    assert end.value.value.unfinished == 0


def test_a_sub_item_remembers_every_label_that_corrects_what_the_main_item_knows(monkeypatch):
    """Forgotten, the main item's answer would stand again, and be taken back twice."""
    monkeypatch.setattr(verdict, "REMEMBERED_LABELS", 2)
    table = Table()
    apply(table, [label("a", 1, "C1")])
    others = [label(name, 1, "C1") for name in "bcd"]
    apply(table, [correction("a", 1, "C1"), *others], first=2)
    sub = decode_item(table.items[f"{sub_number('C1', AT_ONCE)}/terminal#T"], 1)
    assert len(sub.labels) == 3 * verdict.LABEL_BYTES
    assert len(sub.withdrawn_ms) == 1


def test_an_entity_that_few_shards_write_is_stored_and_asked_for_as_ever():
    table, asked = Table(), []
    delivery = Delivery(1, (1, 0), [event("a", 1, "C1")], [(1, 0)], [KEYS])
    steps = apply_delivery(SPEC, delivery, T0_MS)
    request: Any = next(steps)
    with pytest.raises(StopIteration):
        while True:
            if isinstance(request, Read):
                asked.append(set(request.keys))
                request = steps.send({})
            else:
                request = steps.send([table.save(write) for write in request.writes])
    assert asked == [{"cutover", "terminal#T"}, {"customer#C1"}]
    assert table.items["terminal#T"].s[:2] == b"\x95\x02"
    assert table.items.get("0/terminal#T", ABSENT) == Stored(0, b"", b"")
