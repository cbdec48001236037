import json
from pathlib import Path

import pytest

from common.errors import RecordRefusedError
from stream_features.events import Event, Label, decoder, event_hash, label_hash
from stream_features.spec import parse

SPEC = parse(
    """
[event]
id = "id"
time = "at"
label = "fraud"
trace = "trace"
keep = ["kind", "amount"]
max_age = "3d"
fields = { amount = "decimal(2)", kind = "string?", lat = "float?", n = "int? @ deep.n", ok = "bool?" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "amount_now"
op = "value"
of = "amount"
"""
)
NOW = 1_700_000_000_000
GOOD = {"id": "e1", "at": NOW, "card": "0012", "shop": 7, "amount": 12.5, "kind": "web"}


def decode(changes: dict[str, object] | None = None, raw: bytes | None = None) -> Event | Label:
    data = json.dumps({**GOOD, **(changes or {})}).encode() if raw is None else raw
    return decoder(SPEC).decode(data, NOW)


def with_text(key: str, text: str) -> bytes:
    """GOOD with `text` as the JSON of `key`."""
    marker = "@@"
    return json.dumps({**GOOD, key: marker}).replace(json.dumps(marker), text).encode()


def test_an_event_is_decoded_exactly():
    event = decode({"lat": 1.5, "deep": {"n": 3}, "ok": True, "trace": "00-ab", "unknown": [1, {"x": None}]})
    assert event == Event(
        id="e1",
        id_hash=event_hash("e1"),
        time_ms=NOW,
        arrival_ms=NOW,
        trace="00-ab",
        entities=("0012", "7"),
        values=(1250, "web", 1.5, 3, True),
        kept=("web", 1250),
    )


def test_optional_fields_may_be_absent_or_null():
    event = decode({"kind": None, "deep": {"n": None}})
    assert isinstance(event, Event)
    assert event.values == (1250, None, None, None, None)


@pytest.mark.parametrize(
    ("text", "scaled"),
    [
        ("12", 1200),
        ("12.3", 1230),
        ("12.34", 1234),
        ("12.3400", 1234),
        (" 12.34 ", 1234),
        ("-0.05", -5),
        ("-0.0", 0),
        ("1e2", 10_000),
        ("1.5E+1", 1500),
        ("125e-2", 125),
        ("90071992547409.92", 2**53),
        ("-90071992547409.92", -(2**53)),
        ("0." + "0" * 5000, 0),
        ("1.50" + "0" * 5000, 150),
    ],
)
def test_decimals_are_read_exactly_from_their_text(text, scaled):
    event = decode(raw=with_text("amount", text))
    assert isinstance(event, Event)
    assert event.values[0] == scaled


@pytest.mark.parametrize(
    ("at", "ms"),
    [
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14 22:13:20.123456", NOW + 123),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14T20:43:20.5-01:30", NOW + 500),
        (1_700_000_000, NOW),
        (1_700_000_000.1239, NOW + 123),
        (NOW + 5, NOW + 5),
        (NOW + 86_400_000, NOW + 86_400_000),
        (NOW - 3 * 86_400_000, NOW - 3 * 86_400_000),
    ],
)
def test_times_are_rfc3339_or_epoch_seconds_or_milliseconds(at, ms):
    assert decode({"at": at}).time_ms == ms


@pytest.mark.parametrize(
    ("changes", "reason", "names"),
    [
        ({"id": None}, "missing_field", "id"),
        ({"id": ""}, "missing_field", "id"),
        ({"id": 1.5}, "wrong_type", "id"),
        ({"id": True}, "wrong_type", "id"),
        ({"id": {"a": 1}}, "wrong_type", "id"),
        ({"id": "x" * 1025}, "out_of_range", "id"),
        ({"id": 10**1025}, "out_of_range", "id"),
        ({"card": ["a"]}, "wrong_type", "card"),
        ({"shop": None}, "missing_field", "shop"),
        ({"amount": None}, "missing_field", "amount"),
        ({"amount": "12.50"}, "wrong_type", "amount"),
        ({"amount": True}, "wrong_type", "amount"),
        ({"amount": [1]}, "wrong_type", "amount"),
        ({"amount": 12.345}, "too_many_decimals", "amount"),
        ({"amount": 10**20}, "out_of_range", "amount"),
        ({"amount": 90071992547409.93}, "out_of_range", "amount"),
        ({"lat": "high"}, "wrong_type", "lat"),
        ({"lat": 2.0**54}, "out_of_range", "lat"),
        ({"kind": 5}, "wrong_type", "kind"),
        ({"ok": 1}, "wrong_type", "ok"),
        ({"deep": 5}, "wrong_type", "n"),
        ({"deep": {"n": 1.5}}, "too_many_decimals", "n"),
        ({"at": None}, "missing_field", "at"),
        ({"at": "yesterday"}, "bad_time", "at"),
        ({"at": "2023-11-14"}, "bad_time", "at"),
        ({"at": "2023-02-30T00:00:00"}, "bad_time", "at"),
        ({"at": "2023-11-14T24:00:00"}, "bad_time", "at"),
        ({"at": "2023-11-14T22:13:20+1"}, "bad_time", "at"),
        ({"at": "2023-11-14T22:13:20."}, "bad_time", "at"),
        ({"at": "1969-12-31T23:59:59Z"}, "bad_time", "at"),
        ({"at": -1}, "bad_time", "at"),
        ({"at": True}, "wrong_type", "at"),
        ({"at": NOW - 3 * 86_400_000 - 1}, "too_old", "at"),
        ({"at": NOW + 3 * 86_400_000 + 1}, "too_far_ahead", "at"),
        ({"at": "9999-01-01T00:00:00Z"}, "too_far_ahead", "at"),
        ({"type": "label"}, "bad_label", "fraud"),
        ({"type": "label", "fraud": "yes", "label_time": NOW}, "bad_label", "fraud"),
        ({"type": "label", "fraud": 2, "label_time": NOW}, "bad_label", "fraud"),
        ({"type": "label", "fraud": True}, "missing_field", "label_time"),
        ({"type": "label", "fraud": True, "label_time": "soon"}, "bad_time", "label_time"),
        ({"type": "label", "fraud": True, "label_time": NOW * 10}, "too_far_ahead", "label_time"),
    ],
)
def test_a_record_that_breaks_the_schema_is_refused_by_name(changes, reason, names):
    with pytest.raises(RecordRefusedError) as refused:
        decode(changes)
    assert refused.value.reason == reason
    assert str(refused.value).startswith(f"{names}: ")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "bad_json"),
        (b"   ", "bad_json"),
        (b"{", "bad_json"),
        (b'{"id": 1,}', "bad_json"),
        (b'{"id": 01}', "bad_json"),
        (b"{'id': 1}", "bad_json"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b'{"unknown": "\xff"}', "bad_json"),
        (b"\x80\x81\x82", "bad_json"),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json"),
        (b'{"deep":' + b'{"n":' * 50_000 + b"1" + b"}" * 50_001, "bad_json"),
        (b"[1]", "not_an_object"),
        (b"7", "not_an_object"),
        (b"null", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"{}", "missing_field"),
        (with_text("id", r'"\ud800"'), "bad_json"),
        (with_text("amount", "NaN"), "not_finite"),
        (with_text("unknown", "-Infinity"), "not_finite"),
        (with_text("amount", "1e999999999"), "out_of_range"),
        (with_text("amount", "1e99999999999999999999"), "out_of_range"),
        (with_text("amount", "1e-999999999"), "too_many_decimals"),
        (with_text("amount", "9" * 100_000), "out_of_range"),
        (with_text("lat", "-1e400"), "out_of_range"),
        (with_text("at", "1e999999999"), "bad_time"),
        (with_text("at", "1e99999999999999999999"), "bad_time"),
        (with_text("card", "1e3"), "wrong_type"),
    ],
)
def test_hostile_bytes_are_refused(raw, reason):
    with pytest.raises(RecordRefusedError) as refused:
        decode(raw=raw)
    assert refused.value.reason == reason


def test_a_refusal_never_repeats_a_value():
    for changes in ({"lat": "4111111111111111"}, {"kind": 4111111111111111}, {"at": "4111111111111111"}):
        with pytest.raises(RecordRefusedError) as refused:
            decode(changes)
        assert "4111" not in str(refused.value)


def test_of_a_repeated_key_the_last_counts():
    assert decode(raw=with_text("id", '"first", "id": "second"')).id == "second"


def test_ids_are_text_exactly_as_written():
    assert decode({"id": "0012"}).id == "0012"
    assert decode({"id": 12}).id == "12"
    assert decode(raw=with_text("id", r'"\u00e9\n"')).id == "é\n"


def test_a_label_carries_its_events_id_time_and_entities():
    label = decode({"type": "label", "fraud": True, "label_time": NOW + 5, "at": NOW - 30 * 86_400_000})
    assert label == Label(
        id="e1",
        id_hash=label_hash("e1"),
        time_ms=NOW - 30 * 86_400_000,
        arrival_ms=NOW,
        label=True,
        label_time_ms=NOW + 5,
        entities=("0012", "7"),
    )


def test_an_event_and_its_label_are_remembered_under_different_hashes():
    assert event_hash("e1") != label_hash("e1")


def test_only_the_type_label_makes_a_label():
    assert isinstance(decode({"type": "TRANSFER"}), Event)
    assert isinstance(decode({"type": 5}), Event)


def test_what_is_refused_holds_no_frames_for_a_batch_may_hold_a_million_of_it():
    for refused in decoder(SPEC).decode_all([b"", b"{", b"{}", b'{"id": NaN}'] * 5, [NOW] * 20):
        assert isinstance(refused, RecordRefusedError)
        assert (refused.__traceback__, refused.__context__, refused.__cause__) == (None, None, None)


def test_a_redriven_record_says_so():
    assert decode({"redrive": True}).redrive
    assert not decode({"redrive": "true"}).redrive
    assert not decode().redrive


def test_what_is_put_back_may_be_of_any_age_but_not_of_the_future():
    old = {"at": NOW - 40 * 86_400_000}
    assert decode({**old, "redrive": True}).time_ms == old["at"]
    for more in ({}, {"redrive": False}):
        with pytest.raises(RecordRefusedError, match="max_age"):
            decode({**old, **more})
    with pytest.raises(RecordRefusedError, match="too far after"):
        decode({"at": NOW + 40 * 86_400_000, "redrive": True})


@pytest.mark.parametrize("trace", [5, None, "x" * 300, ["a"]])
def test_a_strange_trace_id_is_no_reason_to_refuse_an_event(trace):
    event = decode({"trace": trace})
    assert isinstance(event, Event)
    assert event.trace is None


def test_without_max_age_old_events_are_fine_and_a_day_ahead_is_the_limit():
    text = (Path(__file__).parents[2] / "src" / "features.toml").read_text()
    shipped = decoder(parse(text))
    record = {"transaction_id": 1, "customer_id": 2, "terminal_id": 3, "amount": 4.5}
    old = shipped.decode(json.dumps({**record, "event_time": "2018-04-01T00:00:31"}).encode(), NOW)
    assert old.time_ms == 1_522_540_831_000
    with pytest.raises(RecordRefusedError, match="too far after"):
        shipped.decode(json.dumps({**record, "event_time": NOW + 86_400_001}).encode(), NOW)


def test_a_label_without_a_label_in_the_spec_is_refused():
    unlabelled = decoder(parse(SPEC_WITHOUT_LABEL))
    with pytest.raises(RecordRefusedError, match="names no label"):
        unlabelled.decode(json.dumps({**GOOD, "type": "label", "label_time": NOW}).encode(), NOW)


SPEC_WITHOUT_LABEL = """
[event]
id = "id"
time = "at"
[entities]
card = "card"
[[feature]]
name = "night"
op = "hour_between"
hours = [22, 4]
"""


def test_a_key_that_is_read_in_two_ways_is_decoded_all_the_same():
    text = SPEC_WITHOUT_LABEL.replace("[entities]", 'fields = { card = "string" }\n[entities]')
    event = decoder(parse(text)).decode(json.dumps(GOOD).encode(), NOW)
    assert isinstance(event, Event)
    assert (event.entities, event.values) == (("0012",), ("0012",))
