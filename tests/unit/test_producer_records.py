import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import traceparent
from stream_features import spec as specs
from stream_features.events import Event, Label, decoder
from streamscore.producer.records import Selection, new_trace, records

DAY_MS = 86_400_000
SPEC = specs.parse(
    """
[event]
id = "tx"
time = "at"
label = "fraud"
label_known_after = "7d"
trace = "trace"
fields = { amount = "decimal(2)", device = "string? @ device.id", where = "string?", big = "int?" }
[entities]
customer = "customer_id"
terminal = "terminal_id"
[[feature]]
name = "amount"
op = "value"
of = "amount"
"""
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START_MS = 1_700_000_000_000


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    plain = {"tx": "0", "at": START_MS, "customer_id": "0012", "terminal_id": "t", "amount": Decimal("1.50")}
    types = {"fraud": pl.Boolean, "amount": pl.Decimal(18, 2)}
    return pl.DataFrame([{"fraud": None, **plain, **row} for row in rows], schema_overrides=types)


def made(*rows: dict[str, Any], selection: Selection | None = None) -> list[dict[str, Any]]:
    some = records(SPEC, [frame(*rows)], selection or Selection())
    return [json.loads(record.data, parse_float=Decimal) for record in some]


def test_an_event_without_a_trace_begins_one_and_a_row_that_has_one_keeps_it() -> None:
    mine = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00"
    rows = frame({"tx": "1", "trace": None}, {"tx": "2", "trace": mine}, {"tx": "3", "trace": None})

    first, kept, third = (json.loads(one.data) for one in records(SPEC, [rows], Selection(), new_trace))

    assert kept["trace"] == mine
    ids = [traceparent.trace_id(one["trace"]) for one in (first, third)]
    assert None not in ids
    assert ids[0] != ids[1]
    untraced = msgspec.structs.replace(SPEC, event=msgspec.structs.replace(SPEC.event, trace=None))
    (bare,) = records(untraced, [frame({})], Selection(), new_trace)
    assert "trace" not in json.loads(bare.data)


def test_an_event_carries_what_the_spec_names_and_nothing_else() -> None:
    (record,) = made({"amount": Decimal("12.30"), "device": "d-1", "fraud_scenario": 3})

    assert record == {
        "tx": "0",
        "at": "2023-11-14T22:13:20.000Z",
        "customer_id": "0012",
        "terminal_id": "t",
        "amount": Decimal("12.30"),
        "device": {"id": "d-1"},
    }


def test_a_decimal_keeps_its_digits_on_the_stream() -> None:
    (record,) = records(SPEC, [frame({"amount": Decimal("70368744177664.10")})], Selection())
    assert b'"amount":70368744177664.10' in record.data


def test_the_decoder_reads_back_what_was_made() -> None:
    row = {"amount": Decimal("0.07"), "fraud": True, "device": "d", "big": -3}
    event, label = (
        decoder(SPEC).decode(record.data, START_MS + 8 * DAY_MS)
        for record in records(SPEC, [frame(row)], Selection())
    )

    assert isinstance(event, Event)
    assert (event.id, event.time_ms, event.entities) == ("0", START_MS, ("0012", "t"))
    assert event.values == (7, "d", None, -3)
    assert isinstance(label, Label)
    assert (label.id, label.label, label.time_ms) == ("0", True, START_MS)
    assert label.label_time_ms == START_MS + 7 * DAY_MS


def test_the_partition_key_is_the_primary_entity() -> None:
    assert {r.key for r in records(SPEC, [frame({"fraud": True})], Selection())} == {"0012"}


def test_a_label_comes_when_it_is_known_and_before_an_event_of_the_same_instant() -> None:
    some = made(
        {"tx": "a", "fraud": False},
        {"tx": "b", "at": START_MS + 7 * DAY_MS - 1},
        {"tx": "c", "at": START_MS + 7 * DAY_MS},
    )
    assert [(r["tx"], r.get("type")) for r in some] == [("a", None), ("b", None), ("a", "label"), ("c", None)]


def test_a_row_without_a_label_gives_no_label_record() -> None:
    assert [r.get("type") for r in made({"tx": "a"}, {"tx": "b", "fraud": True})] == [None, None, "label"]


def test_without_labels_only_events_are_made() -> None:
    assert len(made({"fraud": True}, selection=Selection(labels=False))) == 1


def test_after_a_moment_come_later_events_and_labels_that_become_known_later() -> None:
    some = made(
        {"tx": "old", "at": START_MS - 7 * DAY_MS, "fraud": True},
        {"tx": "known later", "at": START_MS - 7 * DAY_MS + 1, "fraud": True},
        {"tx": "last of history", "at": START_MS, "fraud": True},
        {"tx": "live", "at": START_MS + 1, "fraud": False},
        selection=Selection(since_ms=START_MS),
    )

    assert [(r["tx"], r.get("type")) for r in some] == [
        ("known later", "label"),
        ("live", None),
        ("last of history", "label"),
        ("live", "label"),
    ]


@given(
    times=st.lists(st.integers(0, 20), min_size=1, max_size=20),
    since=st.integers(-1, 30),
    cuts=st.sets(st.integers(1, 19)),
)
def test_until_and_since_share_out_every_record_once_and_chunks_do_not_matter(
    times: list[int], since: int, cuts: set[int]
) -> None:
    rows = [
        {"tx": str(n), "at": START_MS + t * DAY_MS, "fraud": n % 2 == 0} for n, t in enumerate(sorted(times))
    ]
    whole = frame(*rows)
    edges = [0, *sorted(c for c in cuts if c < len(rows)), len(rows)]
    chunks = [whole[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    moment = START_MS + since * DAY_MS

    everything = list(records(SPEC, [whole], Selection()))
    after = list(records(SPEC, chunks, Selection(since_ms=moment)))

    assert after == [record for record in everything if record.time_ms > moment]
    assert len(everything) == 2 * len(rows)
    assert [r.time_ms for r in everything] == sorted(r.time_ms for r in everything)


def test_a_shift_moves_event_and_label_times_alike() -> None:
    event, label = made({"fraud": True}, selection=Selection(shift_ms=DAY_MS, since_ms=START_MS - 1))

    assert event["at"] == label["at"] == "2023-11-15T22:13:20.000Z"
    assert label["label_time"] == "2023-11-22T22:13:20.000Z"


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1_700_000_000_001, 253_402_300_799_999])
def test_times_keep_their_milliseconds(time_ms: int) -> None:
    (event,) = made({"at": time_ms})
    assert (datetime.fromisoformat(event["at"]) - EPOCH) / timedelta(milliseconds=1) == time_ms
