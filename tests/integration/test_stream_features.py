"""The handler against the emulator's DynamoDB and S3: what becomes state and rows, what is quarantined."""

import functools
import json
import time
from base64 import b64decode
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from common import aws
from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from common.quarantine import Quarantine
from common.settings import Settings, code_root
from stream_features import handler as handlers
from stream_features import state
from stream_features.handler import apply_batch
from stream_features.spec import parse
from stream_features.state import decode_out
from tests.integration.stream_runtime import (
    GOOD,
    NOW_MS,
    SPEC,
    a_minute,
    event,
    items,
    quarantined,
    rows_of,
    runtime,
    vector,
)
from tests.integration.test_emulator import stream_records
from tests.stream_events import FIRST_SEQUENCE, SHARD, aggregate, kinesis_event

__all__ = ["items", "quarantined", "runtime"]


def test_a_batch_becomes_one_item_an_entity_and_a_row_an_event(runtime, items, emulator):
    batch = [event("a"), event("b", "c2"), event("c", shop="s2", at=NOW_MS + 5)]
    assert apply_batch(kinesis_event(batch, NOW_MS), runtime, a_minute) == {"batchItemFailures": []}
    assert set(items()) == {"card#c1", "card#c2", "shop#s1", "shop#s2"}
    rows = {row.id: row for row in rows_of(emulator, runtime)}
    assert rows["a"] == state.Row("a", NOW_MS, NOW_MS, None, ("c1", "s1"), ("x", 1250), rows["a"].vector)
    assert {name: vector(row) for name, row in rows.items()} == {"a": [1, 12.5], "b": [1, 25], "c": [2, 12.5]}
    assert decode_out(items()["card#c1"]["out"]["B"]).spec_sha == SPEC.sha256
    assert all("out" not in items()[key] for key in ("shop#s1", "shop#s2"))


def test_ttl_follows_the_arrival_clock_so_a_historic_replay_is_not_born_expired(runtime, items):
    apply_batch(kinesis_event([event("a", at=NOW_MS - 86_400_000)], NOW_MS), runtime, a_minute)
    assert int(items()["card#c1"]["ttl"]["N"]) == NOW_MS // 1000 + 86_400 + 7 * 86_400


def test_a_batch_delivered_again_writes_nothing_at_all(runtime, items, emulator):
    batch = kinesis_event([event("a"), event("b", "c2")], NOW_MS)
    apply_batch(batch, runtime, a_minute)
    before = items(), len(stream_records(emulator.endpoint, runtime.state_table))
    apply_batch(batch, runtime, a_minute)
    assert (items(), len(stream_records(emulator.endpoint, runtime.state_table))) == before


def test_the_next_batch_builds_on_what_the_table_holds_and_emits_only_its_own_rows(runtime, items, emulator):
    apply_batch(kinesis_event([event("a")], NOW_MS), runtime, a_minute)
    first = int(items()["card#c1"]["v"]["N"])
    apply_batch(kinesis_event([event("b")], NOW_MS, first=FIRST_SEQUENCE + 9), runtime, a_minute)
    assert [(row.id, vector(row)) for row in rows_of(emulator, runtime)] == [("a", [1, 12.5]), ("b", [2, 25])]
    assert int(items()["card#c1"]["v"]["N"]) == first + 1


def test_a_new_items_version_is_the_time_in_milliseconds(runtime, items):
    before = time.time() * 1000
    apply_batch(kinesis_event([event("a")], NOW_MS), runtime, a_minute)
    assert int(before) <= int(items()["card#c1"]["v"]["N"]) <= time.time() * 1000


def test_five_hundred_events_of_as_many_cards_make_as_many_items(runtime, items, emulator):
    batch = [event(f"e{n}", f"c{n}", f"s{n % 40}") for n in range(500)]
    apply_batch(kinesis_event(batch, NOW_MS), runtime, a_minute)
    assert len(items()) == 540
    assert sorted(row.id for row in rows_of(emulator, runtime)) == sorted(e["id"] for e in batch)


def test_labels_travel_in_out_beside_the_rows(runtime, items):
    told = {**event("a"), "type": "label", "fraud": True, "label_time": NOW_MS + 9}
    apply_batch(kinesis_event([event("a"), told, told], NOW_MS), runtime, a_minute)
    out = decode_out(items()["card#c1"]["out"]["B"])
    assert out.labels == (state.LabelRow("a", True, NOW_MS + 9, NOW_MS, ("c1", "s1"), NOW_MS),)


# ---- what is bad is set aside, and what is good goes on ----

BAD: dict[str, tuple[str, bytes | dict[str, Any]]] = {
    "bytes that are no JSON": ("bad_json", b"\xff\x00{"),
    "an empty record": ("bad_json", b""),
    "half an object": ("bad_json", b'{"id": "e9", "at":'),
    "a list": ("not_an_object", b"[1, 2]"),
    "no id": ("missing_field", {k: v for k, v in GOOD.items() if k != "id"}),
    "a null id": ("missing_field", {**GOOD, "id": None}),
    "no card": ("missing_field", {k: v for k, v in GOOD.items() if k != "card"}),
    "an id that is a list": ("wrong_type", {**GOOD, "id": [1]}),
    "an amount that is a word": ("wrong_type", {**GOOD, "amount": "much"}),
    "a note that is a number": ("wrong_type", {**GOOD, "note": 7}),
    "more decimals than declared": ("too_many_decimals", {**GOOD, "amount": 12.345}),
    "an amount beyond 2^53": ("out_of_range", {**GOOD, "amount": 10**15}),
    "NaN": ("not_finite", {**GOOD, "amount": float("nan")}),
    "no time at all": ("bad_time", {**GOOD, "at": "yesterday"}),
    "far in the future": ("too_far_ahead", {**GOOD, "at": NOW_MS + 40 * 86_400_000}),
    "too old": ("too_old", {**GOOD, "at": NOW_MS - 40 * 86_400_000}),
    "a label that says maybe": (
        "bad_label",
        {**GOOD, "type": "label", "fraud": "maybe", "label_time": NOW_MS},
    ),
    "a card longer than a key": ("out_of_range", {**GOOD, "card": "c" * 2100}),
    "a note larger than an item": ("out_of_range", {**GOOD, "note": "n" * 600_000}),
    "an aggregate that is none inside": ("malformed_aggregate", aggregate(body=b"\xff")),
}


@pytest.mark.parametrize(("reason", "bad"), BAD.values(), ids=BAD)
def test_a_bad_record_is_quarantined_whole_and_its_neighbours_are_applied(
    reason, bad, runtime, emulator, quarantined
):
    payload = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
    answer = apply_batch(kinesis_event([event("a"), payload, event("b")], NOW_MS), runtime, a_minute)
    assert answer == {"batchItemFailures": []}
    [line] = quarantined()
    assert line["reason"] == reason
    assert b64decode(line["payload"]) == payload
    assert (line["shard"], line["sequence"], line["sub_sequence"]) == (SHARD, str(FIRST_SEQUENCE + 1), 0)
    assert (line["arrival_ms"], line["kind"]) == (NOW_MS, "kinesis")
    assert [row.id for row in rows_of(emulator, runtime)] == ["a", "b"]


HOSTILE_TEXT = ["\x00", "\ud800", "𝒳" * 80, "'; DROP", '"', "#", "a#b", " ", "\n"]


@pytest.mark.parametrize("text", HOSTILE_TEXT, ids=ascii)
def test_any_text_in_any_place_is_applied_as_it_is_or_quarantined(text, runtime, emulator, quarantined):
    batch = [event("a"), *({**event(f"x-{key}"), key: text} for key in ("id", "card", "shop", "note"))]
    assert apply_batch(kinesis_event(batch, NOW_MS), runtime, a_minute) == {"batchItemFailures": []}
    rows = [(row.id, *row.entities, row.kept[0]) for row in rows_of(emulator, runtime)]
    refused = [json.loads(b64decode(line["payload"])) for line in quarantined()]
    wanted = [(e["id"], e["card"], e["shop"], e["note"]) for e in batch if e not in refused]
    assert sorted(rows) == sorted(wanted)
    assert len(refused) == (4 if text == "\ud800" else 0)


def test_all_bad_records_of_a_batch_make_one_object_in_order(runtime, quarantined, items):
    apply_batch(kinesis_event([b"1", b"2", b"3"], NOW_MS), runtime, a_minute)
    assert [b64decode(line["payload"]) for line in quarantined()] == [b"1", b"2", b"3"]
    assert items() == {}


def test_a_bad_record_inside_an_aggregate_is_told_by_its_sub_sequence(runtime, emulator, quarantined):
    inside = [json.dumps(event("a")).encode(), b"bad", json.dumps(event("b")).encode()]
    apply_batch(kinesis_event([aggregate(*inside)], NOW_MS), runtime, a_minute)
    assert [(line["sequence"], line["sub_sequence"]) for line in quarantined()] == [(str(FIRST_SEQUENCE), 1)]
    assert [row.id for row in rows_of(emulator, runtime)] == ["a", "b"]


def test_an_empty_batch_is_nothing(runtime, items):
    assert apply_batch({"Records": []}, runtime, a_minute) == {"batchItemFailures": []}
    assert items() == {}


def test_a_batch_of_six_megabytes_is_applied(runtime, emulator):
    batch = [event(f"e{n}", f"c{n % 50}", junk="j" * 9_000) for n in range(480)]
    lambda_event = kinesis_event(batch, NOW_MS)
    assert 5_900_000 < len(json.dumps(lambda_event)) < 6_291_456
    assert apply_batch(lambda_event, runtime, a_minute) == {"batchItemFailures": []}
    assert len(rows_of(emulator, runtime)) == 480


def test_a_repeated_record_changes_nothing(runtime, emulator, items):
    apply_batch(kinesis_event([event("a"), event("a"), event("b")], NOW_MS), runtime, a_minute)
    apply_batch(kinesis_event([event("a")], NOW_MS, first=FIRST_SEQUENCE + 9), runtime, a_minute)
    assert [(row.id, vector(row)) for row in rows_of(emulator, runtime)] == [("a", [1, 12.5]), ("b", [2, 25])]


# ---- what a cut-over covers is passed over ----


def test_records_up_to_the_cut_over_are_counted_and_neither_applied_nor_emitted(
    runtime, items, emulator, client
):
    mark = state.cutover_item(NOW_MS)
    client("dynamodb").put_item(TableName=runtime.state_table, Item=mark)
    told = {**event("a"), "type": "label", "fraud": True, "label_time": NOW_MS}
    later = {**told, "label_time": NOW_MS + 1}
    batch = [event("a"), told, event("b", "c2", at=NOW_MS + 1), later]
    assert apply_batch(kinesis_event(batch, NOW_MS), runtime, a_minute) == {"batchItemFailures": []}
    assert [row.id for row in rows_of(emulator, runtime)] == ["b"]
    assert items().keys() == {state.CUTOVER_KEY, "card#c1", "card#c2", "shop#s1"}
    assert items()[state.CUTOVER_KEY] == mark
    assert decode_out(items()["card#c1"]["out"]["B"]).labels[0].label_time_ms == NOW_MS + 1


# ---- what is down is waited for, then delivered again ----


def test_with_dynamodb_unreachable_the_lowest_sequence_is_returned(runtime, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    down = replace(runtime, dynamodb=DynamoDB(Wire()))
    answer = apply_batch(kinesis_event([event("a"), event("b")], NOW_MS), down, lambda: 0)
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(FIRST_SEQUENCE)}]}


def test_a_bad_record_that_could_not_be_set_aside_is_not_acknowledged(runtime, emulator, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    quarantine = Quarantine(lambda: aws.client("s3"), "any", "stream_features")
    down = replace(runtime, quarantine=quarantine)
    answer = apply_batch(kinesis_event([event("a"), b"bad", event("b")], NOW_MS), down, lambda: 0)
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(FIRST_SEQUENCE + 1)}]}
    assert len(rows_of(emulator, runtime)) == 2


def test_bad_records_behind_an_unfinished_one_are_left_to_the_next_delivery(
    runtime, quarantined, monkeypatch
):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        down = replace(runtime, dynamodb=DynamoDB(Wire()))
    answer = apply_batch(kinesis_event([b"bad", event("a"), b"worse"], NOW_MS), down, lambda: 0)
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(FIRST_SEQUENCE + 1)}]}
    assert [b64decode(line["payload"]) for line in quarantined()] == [b"bad"]


# ---- the function as Lambda calls it ----


def test_the_function_makes_its_runtime_from_its_environment_and_reports_without_saying_whose(
    runtime, items, quarantined, monkeypatch, capsys
):
    names = {name.upper(): "unused" for name in Settings.__slots__}
    names |= {"STATE_TABLE": runtime.state_table, "DATA_BUCKET": runtime.quarantine._bucket}
    for name, value in {**names, "POWERTOOLS_SERVICE_NAME": "stream_features"}.items():
        monkeypatch.setenv(name, value)
    made = functools.cache(handlers.runtime.__wrapped__)
    monkeypatch.setattr(handlers, "runtime", made)
    card = "4111111111111111"
    record = {
        "transaction_id": 1,
        "event_time": NOW_MS,
        "customer_id": card,
        "terminal_id": "T",
        "amount": 9.99,
    }
    context = SimpleNamespace(get_remaining_time_in_millis=a_minute, aws_request_id="r")
    answer = handlers.handler(kinesis_event([record, b"bad " + card.encode()], NOW_MS), context)
    assert answer == {"batchItemFailures": []}
    assert set(items()) == {f"customer#{card}", "terminal#T"}
    assert made().spec == parse((code_root() / "features.toml").read_text())
    told = capsys.readouterr().out
    metrics = {k: v for line in told.splitlines() if "_aws" in line for k, v in json.loads(line).items()}
    counts = {name: metrics[name] for name in ("EventsApplied", "StateItemsWritten", "RecordsQuarantined")}
    assert counts == {"EventsApplied": [1.0], "StateItemsWritten": [2.0], "RecordsQuarantined": [1.0]}
    assert metrics["DynamoDbWriteCostUSD"][0] > 0
    assert [line["reason"] for line in quarantined()] == ["bad_json"]
    assert card not in told
