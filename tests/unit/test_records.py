"""Kinesis events become records with positions; aggregates are taken apart."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RecordRefusedError
from common.records import Record, billed_sizes, deaggregate, kinesis_records, partition_of
from tests.stream_events import FIRST_SEQUENCE, SHARD, aggregate, kinesis_entry, protobuf_field, varint


def entry(data: bytes, sequence: int = FIRST_SEQUENCE) -> dict[str, Any]:
    return kinesis_entry(data, sequence, 1545084650987)


def test_a_plain_record_keeps_its_bytes_position_and_arrival_in_milliseconds():
    records, refused = kinesis_records({"Records": [entry(b"Hello")]})
    assert records == [Record(SHARD, str(FIRST_SEQUENCE), 0, 1545084650987, b"Hello")]
    assert records[0].order == (FIRST_SEQUENCE, 0)
    assert refused == []


def test_an_empty_event_has_no_records():
    assert kinesis_records({"Records": []}) == ([], [])


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_the_records_of_an_aggregate_come_out_in_order_with_sub_sequences_from_zero(datas):
    records, refused = kinesis_records({"Records": [entry(aggregate(*datas))]})
    assert [(r.sub_sequence, r.data) for r in records] == list(enumerate(datas))
    assert refused == []


def test_explicit_hash_keys_and_fixed_width_fields_do_not_disturb_an_aggregate():
    record = (
        protobuf_field(1, 0)
        + protobuf_field(2, 0)
        + protobuf_field(3, b"x")
        + varint(9 << 3 | 1)
        + b"8 bytes!"
        + varint(8 << 3 | 5)
        + b"4444"
    )
    body = protobuf_field(1, b"key") + protobuf_field(2, b"1234") + protobuf_field(3, record)
    assert deaggregate(aggregate(body=body)) == [b"x"]


def test_a_wrong_digest_means_a_plain_record_that_happens_to_begin_so():
    data = aggregate(b"a")[:-1] + b"?"
    assert deaggregate(data) == [data]


def test_the_magic_number_alone_is_a_plain_record():
    assert deaggregate(b"\xf3\x89\x9a\xc2") == [b"\xf3\x89\x9a\xc2"]


MALFORMED = {
    "a length past the end": varint(3 << 3 | 2) + varint(99) + b"short",
    "an endless varint": b"\xff" * 12,
    "a number cut off": b"\xff",
    "a group": varint(1 << 3 | 3),
    "a record without data": protobuf_field(3, protobuf_field(1, 0)),
    "a record that is a number": protobuf_field(3, 7),
    "data that is a number": protobuf_field(3, protobuf_field(1, 0) + protobuf_field(3, 7)),
    "a fixed field cut off": varint(9 << 3 | 1) + b"123",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_aggregate_is_refused_whole_and_the_next_record_still_read(body):
    bad = aggregate(body=body)
    records, refused = kinesis_records({"Records": [entry(bad, 1), entry(b"good", 2)]})
    assert [r.data for r in records] == [b"good"]
    assert [(r.reason, r.record.data) for r in refused] == [("malformed_aggregate", bad)]


@given(st.binary(max_size=200))
def test_no_bytes_under_a_right_digest_raise_anything_but_a_refusal(body):
    try:
        parts = deaggregate(aggregate(body=body))
    except RecordRefusedError as error:
        assert error.reason == "malformed_aggregate"
    else:
        assert all(isinstance(part, bytes) for part in parts)


def test_data_that_is_not_base64_is_refused_with_what_was_there():
    bad = entry(b"")
    bad["kinesis"]["data"] = "%%%"
    records, refused = kinesis_records({"Records": [bad]})
    assert records == []
    assert (refused[0].reason, refused[0].record.data) == ("bad_base64", b"%%%")


def test_the_billed_size_is_data_and_partition_key() -> None:
    event = {
        "Records": [
            {"kinesis": {"data": base64.b64encode(b"x" * 300).decode(), "partitionKey": "customer-1"}}
        ]
    }
    assert billed_sizes(event) == [310]


def test_a_key_too_long_for_kinesis_is_cut_and_hashed_as_the_whole_would_have_been() -> None:
    assert partition_of("c1") == {"PartitionKey": "c1"}
    long = "c" * 257
    digest = hashlib.md5(long.encode()).hexdigest()
    assert partition_of(long) == {"PartitionKey": long[:256], "ExplicitHashKey": str(int(digest, 16))}


def strictly(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


base64_texts = st.text(st.sampled_from("AQRZz09/+=-_ \né"), max_size=12) | st.binary().map(
    lambda data: base64.b64encode(data).decode()
)


@given(st.lists(base64_texts, max_size=6))
def test_base64_is_read_as_strictly_as_the_standard_library_reads_it(texts):
    entries = [entry(b"", FIRST_SEQUENCE + place) for place in range(len(texts))]
    for one, text in zip(entries, texts, strict=True):
        one["kinesis"]["data"] = text
    records, refused = kinesis_records({"Records": entries})
    expected = list(map(strictly, texts))
    assert [record.data for record in records] == [data for data in expected if data is not None]
    assert [int(one.record.sequence) - FIRST_SEQUENCE for one in refused] == [
        place for place, data in enumerate(expected) if data is None
    ]
