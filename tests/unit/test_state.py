"""The bytes of a state item: what is written is what is read, and small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError
from stream_features.state import (
    CUTOVER_KEY,
    OUT_VERSION,
    Item,
    LabelRow,
    Out,
    Row,
    Stored,
    cutover_item,
    decode_item,
    decode_out,
    encode_item,
    encode_out,
    item_key,
    kernel_blob,
    read_cutover,
    shard_number,
)

NOW_MS = 1_764_000_000_000
DAY_MS = 86_400_000
SEQUENCE = 49590338271490256608559692538361571095921575989136588898
orders = st.tuples(st.integers(0, 10**56), st.integers(0, 10_000))
items = st.builds(
    Item,
    v=st.integers(1, 2**53),
    mark=orders,
    arrival_ms=st.integers(0, 4 * 10**9).map(lambda s: s * 1000),
    ids=st.binary(max_size=64),
    labels=st.binary(max_size=64),
    repeats=st.frozensets(orders, max_size=3),
    blob=st.binary(max_size=64),
)


def stored(item: Item, shard: int, now_ms: int = NOW_MS) -> Stored:
    return Stored(item.v, *encode_item(item, shard, now_ms))


@given(items, st.integers(0, 2**64 - 1))
def test_an_item_is_read_as_it_was_written(item, shard):
    assert decode_item(stored(item, shard), shard) == item


@given(items, items)
def test_another_shard_sees_the_memory_but_not_the_watermark_and_gives_both_back(item, later):
    seen = decode_item(stored(item, 1), 2)
    assert (seen.mark, seen.repeats) == ((-1, -1), frozenset())
    assert (seen.ids, seen.labels, seen.blob) == (item.ids, item.labels, item.blob)
    seen.mark, seen.arrival_ms, seen.repeats = later.mark, later.arrival_ms, later.repeats
    both = stored(seen, 2, now_ms=0)
    assert decode_item(both, 1).mark == item.mark
    assert decode_item(both, 1).repeats == item.repeats
    assert (decode_item(both, 2).mark, decode_item(both, 2).repeats) == (later.mark, later.repeats)


def test_a_shards_watermark_and_repeats_are_let_go_a_day_after_its_records_have_left_the_stream():
    closed = Item(1, mark=(5, 0), arrival_ms=NOW_MS - 8 * DAY_MS, repeats=frozenset({(4, 0)}))
    other = decode_item(stored(closed, 1), 2)
    assert decode_item(stored(other, 2, NOW_MS), 1).mark == (5, 0)
    forgotten = decode_item(stored(other, 2, NOW_MS + 1000), 1)
    assert (forgotten.mark, forgotten.repeats) == ((-1, -1), frozenset())


def test_no_item_reads_as_one_that_has_seen_nothing():
    assert decode_item(Stored(0, b"", b""), 1) == Item()


def test_a_watermark_of_a_kinesis_position_is_packed_to_about_thirty_bytes():
    w, _ = encode_item(
        Item(1, mark=(SEQUENCE, 0), arrival_ms=NOW_MS), shard_number("shardId-000000000006"), 0
    )
    assert len(w) <= 36


def test_kinesis_shards_are_numbered_as_kinesis_does_and_others_by_a_hash_apart_from_them():
    assert shard_number("shardId-000000000123") == 123
    other = {shard_number(name) for name in ("shardId-1", "shardId-000000000001-a", "x", "")}
    assert len(other) == 4
    assert all(2**63 <= number < 2**64 for number in other)


def test_thousands_of_duplicates_in_one_aggregate_take_few_bytes():
    repeats = frozenset((SEQUENCE, n) for n in range(1, 10_000))
    item = Item(1, mark=(SEQUENCE, 9_999), repeats=repeats)
    assert len(encode_item(item, 1, NOW_MS)[1]) < 1_400
    assert decode_item(stored(item, 1), 1).repeats == repeats


def test_the_kernels_part_of_an_item_can_be_had_alone():
    _, s = encode_item(Item(1, blob=b"kernel"), 1, NOW_MS)
    assert kernel_blob(s) == b"kernel"
    assert kernel_blob(b"") == b""


ROW = Row("a", 1, 2, "00-trace", ("c1", "s1"), (1250, "web", None, True, 0.5), b"\x00\x00\x80?")
LABEL = LabelRow("a", True, 4, 3, ("c1", "s1"), 5)


def test_rows_and_labels_are_read_as_they_were_written():
    out = Out(OUT_VERSION, "sha", (ROW,), (LABEL,))
    assert decode_out(encode_out(out)) == out


@pytest.mark.parametrize("blob", [b"", b"\xff", b"\x90", encode_out(Out(99, "sha", (), ()))])
def test_an_out_of_another_version_or_no_out_is_refused_by_name(blob):
    with pytest.raises(InvalidInputError, match="out"):
        decode_out(blob)


def test_an_item_of_another_version_is_refused():
    newer = encode_item(Item(1), 1, NOW_MS)[1].replace(b"\x95\x02", b"\x95\x63", 1)
    with pytest.raises(InvalidInputError, match="version 99"):
        decode_item(Stored(1, b"\x90", newer), 1)


def test_a_cut_over_mark_is_read_as_it_was_written_and_is_no_entitys():
    item = cutover_item(NOW_MS)
    stored = Stored(int(item["v"]["N"]), item["w"]["B"], item["s"]["B"])
    assert (item["pk"]["S"], read_cutover(stored), read_cutover(None)) == (CUTOVER_KEY, NOW_MS, None)
    assert "ttl" not in item
    assert CUTOVER_KEY not in {item_key(name, value) for name in ("cutover", "") for value in ("", "cutover")}
