"""Forgetting an entity: what names it, and what objects, files, prices and receipts are without it."""

import base64
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError
from common.keyed_hash import key_of, keyed_hash
from common.quarantine import Quarantine
from common.records import Record as Raw
from common.records import Refused
from stream_features.sharing import sub_keys
from stream_features.spec import parse
from stream_features.state import LabelRow, Out, Row, decode_out, encode_out
from streamscore.erasure import objects, tables
from streamscore.erasure.found import DECISIONS, STATE, Found
from streamscore.erasure.objects import Left, exported, given_up, names_it, quarantined, without
from streamscore.erasure.price import Extent
from streamscore.erasure.receipt import Receipt, remains
from streamscore.erasure.whom import whom
from streamscore.redrive import strays
from streamscore.redrive.progress import Progress
from streamscore.redrive.strays import Batch, Stray
from tests.stream_events import SHARD, aggregate, kinesis_entry
from tests.table_exports import line

NOW_MS = 1_764_000_000_000
SPEC = parse("""
[event]
id = "id"
time = "at"
fields = { amount = "decimal(2)" }
[entities]
card = "card_id"
shop = "shop_id"
[[feature]]
name = "n"
entity = "card"
op = "count"
windows = ["1d"]
""")
CARD, SHOP = whom(SPEC, "card", "4711"), whom(SPEC, "shop", "s1")
FUNCTIONS = {"f": "stream_features", "s": "scoring", "m": "monitor"}


def record(card: Any, shop: str = "s1", **more: Any) -> bytes:
    return json.dumps({"id": "e", "card_id": card, "shop_id": shop, **more}).encode()


# ---- what names it ----


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (record("4711"), True),
        (record(4711), True),
        (b'{"card_id": "47\\u00311"}', True),
        (record("4711", amount=float("nan")), True),
        (record("47110"), False),
        (record("04711"), False),
        (record(4711.0), False),
        (record(None), False),
        (record("x", shop="4711"), False),
        (b"{}", False),
        (b"[4711]", False),
        (b'{"card_id": "4711"', None),
        (b"\xff4711", None),
        (b"", None),
    ],
    ids=str,
)
def test_a_record_names_it_by_its_own_field_and_value(data: bytes, named: bool | None) -> None:
    assert bool(CARD.in_record(data)) is bool(named)
    assert (CARD.in_record(data) is None) is (named is None) or data == b"[4711]"


def test_of_what_cannot_be_read_only_the_value_under_the_fields_name_is_masked() -> None:
    data = b'\x00{"card_id" : "4711","x":4711,"amount": 4711.5} {"card_id":4711, {"card_id":"47110"'
    assert CARD.masked(data) == (
        b'\x00{"card_id" : "****","x":4711,"amount": 4711.5} {"card_id":****, {"card_id":"47110"'
    )


def test_its_items_are_the_main_one_and_all_that_it_may_have_been_split_into() -> None:
    assert CARD.keys == ["card#4711", *sub_keys("card#4711")]


@pytest.mark.parametrize(("entity", "value"), [("customer", "1"), ("card", ""), ("card", "x" * 1025)])
def test_what_no_item_can_be_of_is_refused(entity: str, value: str) -> None:
    with pytest.raises(InvalidInputError):
        whom(SPEC, entity, value)


# ---- objects ----


class Memory:
    def put_object(self, **request: Any) -> dict[str, str]:
        self.body: bytes = request["Body"]
        return {}


def set_aside(datas: list[bytes]) -> bytes:
    held = Memory()
    refused = [
        Refused(Raw(SHARD, str(n), 0, NOW_MS + n, data), "too_old", "why") for n, data in enumerate(datas)
    ]
    Quarantine(lambda: held, "b", "stream_features").put(refused, lambda: 0)
    return held.body


cards = st.sampled_from(["4711", "4712", "1"])
some = st.one_of(cards.map(record), st.binary(max_size=8), cards.map(lambda card: record(card)[:-1]))


@given(datas=st.lists(some, min_size=1, max_size=12))
def test_quarantine_keeps_all_others_in_their_order(datas: list[bytes]) -> None:
    left = quarantined(set_aside(datas), CARD)
    others = [(n, data) for n, data in enumerate(datas) if data != record("4711")]
    assert left.kept == [n for n, _ in others]
    assert len(left.arrived_ms) == len(datas) - len(others)
    assert left.masked == datas.count(record("4711")[:-1])
    found = strays.read("quarantine/x", left.body, FUNCTIONS) if left.body else []
    assert found == [Stray("too_old", CARD.masked(data)) for _, data in others]
    assert left.is_changed or left.body == set_aside(datas)


def batch_given_up(function: str, records: list[dict[str, Any]], as_text: bool = True) -> bytes:
    event: Any = {"Records": records, "shardId": SHARD}
    context = {"functionArn": f"arn:aws:lambda:us-east-1:1:function:{function}", "condition": "c"}
    return json.dumps(
        {"requestContext": context, "payload": json.dumps(event) if as_text else event}
    ).encode()


datas = st.lists(some, min_size=1, max_size=5)


@given(batch=st.lists(st.tuples(datas, st.booleans()), min_size=1, max_size=4), as_text=st.booleans())
def test_a_batch_given_up_keeps_all_others_aggregates_taken_apart(
    batch: list[tuple[list[bytes], bool]], as_text: bool
) -> None:
    raws = [aggregate(*parts) if packed else parts[0] for parts, packed in batch]
    entries = [kinesis_entry(raw, 7 + n, NOW_MS) for n, raw in enumerate(raws)]
    body = batch_given_up("f", entries, as_text)
    before = strays.read("aws/lambda/x", body, FUNCTIONS)
    assert not isinstance(before, Batch)
    left = given_up(body, CARD)
    after = strays.read("aws/lambda/x", left.body, FUNCTIONS) if left.body else []
    assert after == [Stray("c", CARD.masked(one.data)) for one in before if one.data != record("4711")]
    assert left.kept == [n for n, one in enumerate(before) if one.data != record("4711")]


def test_the_key_that_a_producer_put_an_aggregate_under_goes_too() -> None:
    entry = kinesis_entry(aggregate(record("4711"), record("1")), 7, NOW_MS)
    entry["kinesis"]["partitionKey"] = "4711"
    left = given_up(batch_given_up("f", [entry]), CARD)
    assert left.body
    assert b"4711" not in left.body


def rows_given_up(pk: str, *rows: tuple[str, ...]) -> dict[str, Any]:
    out = Out(
        1,
        SPEC.sha256,
        tuple(Row(f"e{n}", 1, 1, None, row, (), bytes(4)) for n, row in enumerate(rows)),
        tuple(LabelRow(f"l{n}", True, 1, 1, row, 1) for n, row in enumerate(rows)),
    )
    image = {"pk": {"S": pk}, "out": {"B": base64.b64encode(encode_out(out)).decode()}}
    return {"dynamodb": {"Keys": {"pk": {"S": pk}}, "NewImage": image, "SequenceNumber": "1"}}


def changes_in(body: bytes | None) -> list[dict[str, Any]]:
    return [one["dynamodb"] for one in json.loads(json.loads(body or b"")["payload"])["Records"]]


def test_of_rows_given_up_those_of_a_card_go_with_its_item_and_those_of_a_shop_one_by_one() -> None:
    mine, others = (
        rows_given_up("card#4711", ("4711", "s1")),
        rows_given_up("card#1", ("1", "s1"), ("1", "s2")),
    )
    body = batch_given_up("s", [mine, others])
    of_card, of_shop = given_up(body, CARD), given_up(body, SHOP)
    assert changes_in(of_card.body) == [others["dynamodb"]]
    assert (of_card.kept, len(of_card.arrived_ms)) == ([0], 1)
    outs = [
        decode_out(base64.b64decode(change["NewImage"]["out"]["B"])) for change in changes_in(of_shop.body)
    ]
    assert [[row.entities for row in (*out.rows, *out.labels)] for out in outs] == [[], [("1", "s2")] * 2]


def decision(event: str, card: str, shop: str) -> dict[str, Any]:
    named = {"entity": {"S": card}, "entities": {"M": {"shop": {"S": shop}}}}
    return {"pk": {"S": event}, **named, "event_time": {"N": "5"}, "arrival": {"N": str(NOW_MS)}}


def test_of_decisions_given_up_those_that_name_it_go_in_either_image() -> None:
    changes = [
        {"dynamodb": {"Keys": {"pk": {"S": "a"}}, "NewImage": decision("a", "4711", "s1")}},
        {"dynamodb": {"Keys": {"pk": {"S": "b"}}, "OldImage": decision("b", "4711", "s2")}},
        {"dynamodb": {"Keys": {"pk": {"S": "c"}}, "NewImage": decision("c", "1", "s1")}},
    ]
    body = batch_given_up("m", changes)
    assert [one["Keys"]["pk"]["S"] for one in changes_in(given_up(body, CARD).body)] == ["c"]
    assert [one["Keys"]["pk"]["S"] for one in changes_in(given_up(body, SHOP).body)] == ["b"]
    assert given_up(batch_given_up("m", changes[:2]), CARD).body is None


@pytest.mark.parametrize("is_full", [True, False])
def test_an_export_says_of_its_decisions_that_they_were_deleted(is_full: bool) -> None:
    items = {"a": decision("a", "4711", "s1"), "b": decision("b", "1", "s1"), "gone": None}
    texts = [line(id_, item, is_full) for id_, item in items.items()]
    left = exported(gzip.compress("".join(texts).encode()), CARD)
    assert left.body
    assert left.arrived_ms == [NOW_MS]
    first, *others = gzip.decompress(left.body).decode().splitlines(keepends=True)
    assert others == texts[1:]
    about = {} if is_full else {"Metadata": {"WriteTimestampMicros": {"N": "1"}}}
    assert json.loads(first) == {**about, "Keys": {"pk": {"S": "a"}}}
    assert not exported(left.body, CARD).is_changed


@pytest.mark.parametrize("read", [quarantined, given_up, exported])
@pytest.mark.parametrize("body", [b"not gzip", b"{}", b"[1]", gzip.compress(b"[1]\n"), b"\xff"])
def test_an_object_that_nobody_can_read_is_named(read: objects.Without, body: bytes) -> None:
    with pytest.raises(InvalidInputError, match=r"^a/key: not readable"):
        without(read, "a/key", body, CARD)


@given(
    mine=st.lists(st.booleans(), max_size=12),
    rounds=st.lists(st.sets(st.integers(0, 11), min_size=1), max_size=4),
)
def test_what_redrive_has_done_of_an_object_is_done_of_what_is_left(
    mine: list[bool], rounds: list[set[int]]
) -> None:
    before = Progress("old")
    for done in rounds:
        before.done(place for place in done if place < len(mine))
    left = Left(kept=[place for place, own in enumerate(mine) if not own])
    after = objects.progress_of(left, before, "new")
    still = set(before.open(len(mine)))
    assert {left.kept[place] for place in after.open(len(left.kept))} == still & set(left.kept)
    assert after.etag == "new"


def test_a_bus_event_that_was_not_delivered_names_it_in_its_detail() -> None:
    told = json.dumps({"detail": {"entity": "4711", "entities": {"shop": "s1"}}})
    assert names_it(told, CARD)
    assert names_it(told, SHOP)
    assert not names_it(told, whom(SPEC, "card", "s1"))
    assert not any(names_it(other, CARD) for other in ('["4711"]', "4711", "no json", '{"detail": null}'))


# ---- files ----


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("values", [["4711", "x", None, "4711"], [4711, 1, None, 4711]], ids=["text", "int"])
def test_rows_of_a_file_are_found_whatever_it_is(kind: str, values: list[Any], tmp_path: Path) -> None:
    frame, path = pl.DataFrame({"card_id": values, "n": range(4)}), tmp_path / f"events.{kind}"
    {"parquet": frame.write_parquet, "csv": frame.write_csv, "jsonl": frame.write_ndjson}[kind](path)
    assert (tables.rows_of(path, CARD), tables.rows_of(path, SHOP)) == (2, 0)


def test_a_parquet_file_keeps_its_other_rows_and_their_order(tmp_path: Path) -> None:
    path, to = tmp_path / "events.parquet", tmp_path / "others.parquet"
    frame = pl.DataFrame({"n": range(5), "card_id": ["1", "4711", None, "4711", "2"], "f": [1.5] * 5})
    frame.write_parquet(path)
    assert tables.without_rows(path, CARD, to) == 2
    assert pl.read_parquet(to).equals(frame[[0, 2, 4]])
    assert tables.without_rows(to, CARD, tmp_path / "again.parquet") == 0
    assert not (tmp_path / "again.parquet").exists()


# ---- price and receipt ----


def test_the_price_is_that_of_reading_tables_and_objects_once() -> None:
    extent = Extent(decisions_bytes=1 << 30, state_bytes=0, items=17, objects=2_001, objects_bytes=5_000_000)
    usage = extent.usage
    assert (usage.dynamodb_read_units, usage.s3_gets, usage.s3_puts) == (262_144 + 17, 2_001, 3)
    usd = 262_161 * 0.125e-6 + 2_001 * 0.0004e-3 + 3 * 0.005e-3
    assert extent.as_json()["usd_a_pass"] == pytest.approx(usd)
    assert list(extent.lines())[1].startswith(f"price: ${usd:.6f} a pass, at least 2 passes: ${2 * usd:.6f}")


def passed(began_ms: int, *arrived_ms: int, place: str = STATE) -> Found:
    found = Found(began_ms)
    found.add(place, arrived_ms)
    return found


@pytest.mark.parametrize(
    ("arrived_ms", "proved"), [((), True), ((99,), False), ((100, 101), True), ((100, 0), False)]
)
def test_a_pass_proves_it_if_it_finds_nothing_from_before_the_run(
    arrived_ms: tuple[int, ...], proved: bool
) -> None:
    receipt = Receipt("s", "card", "h", 100, 200, False, [passed(100, 5), passed(100, *arrived_ms)])
    assert receipt.is_proved is receipt.is_whole is receipt.as_json()["proved"] is proved
    assert any(one.startswith("proved") for one in receipt.lines()) is proved


def test_what_was_masked_has_to_be_looked_for_again() -> None:
    found = Found(100, masked=Counter({"quarantine/": 1}))
    assert not Receipt("s", "card", "h", 100, 200, False, [found]).is_proved


def test_a_receipt_tells_what_is_the_users_to_remove_and_what_lasts_how_long() -> None:
    found = Found(100, yours=["raw-data/x.csv: 3 rows"], unread=["quarantine/y: not readable"])
    receipt = Receipt("s", "card", "beef", NOW_MS, NOW_MS, False, [found], remains(NOW_MS, 168, 35))
    text = "\n".join(receipt.lines())
    assert receipt.is_proved and not receipt.is_whole
    assert "only you can remove it: raw-data/x.csv: 3 rows" in text
    assert "not readable: quarantine/y" in text
    assert "held until 2025-12-01: the events stream" in text
    assert "held until 2025-12-29: point-in-time recovery" in text
    assert "would be erased" in "\n".join(
        receipt._replace(dry_run=True, passes=[passed(0, 1, place=DECISIONS)]).lines()
    )


def test_the_hash_of_a_receipt_needs_the_stacks_key() -> None:
    key = key_of("secret")
    assert len(keyed_hash(key, "4711")) == 32
    assert keyed_hash(key, "4711") == keyed_hash(key_of("secret"), "4711")
    assert keyed_hash(key, "4711") != keyed_hash(key_of("other"), "4711")
