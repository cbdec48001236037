"""Trace ids in W3C's form and X-Ray's."""

import secrets

import pytest

from common import traceparent

TRACE = "5759e988bd862e3fe1be46a994272793"
W3C = f"00-{TRACE}-53995c3f42cd8ad8-01"
XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.mark.parametrize(
    "text",
    [
        W3C,
        f"00-{TRACE}-53995c3f42cd8ad8-00",
        f"01-{TRACE}-53995c3f42cd8ad8-03-what-a-later-version-adds",
        XRAY,
        f"Root=1-5759e988-{TRACE[8:]}",
        f"Self=1-00000000-000000000000000000000000;Root=1-5759e988-{TRACE[8:].upper()};Lineage=a:1",
        f"1-5759e988-{TRACE[8:]}",
    ],
)
def test_both_forms_name_the_same_trace(text: str) -> None:
    assert traceparent.trace_id(text) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        TRACE,
        W3C.upper(),
        f"ff-{TRACE}-53995c3f42cd8ad8-01",
        f"00-{'0' * 32}-53995c3f42cd8ad8-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-53995c3f42cd8ad8-01-more",
        f"00-{TRACE}-53995c3f42cd8ad8",
        f"Parent=53995c3f42cd8ad8;Sampled=1;Notroot=1-5759e988-{TRACE[8:]}x",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
    ],
)
def test_what_names_no_trace_is_none(text: str | None) -> None:
    assert traceparent.trace_id(text) is None
    assert traceparent.xray_header(text) is None


def test_an_xray_header_becomes_a_traceparent_and_back() -> None:
    assert traceparent.from_xray(XRAY) == W3C
    assert traceparent.xray_header(W3C) == f"Root=1-5759e988-{TRACE[8:]};Sampled=1"
    assert traceparent.from_xray(XRAY.replace("Sampled=1", "Sampled=0")) == W3C[:-1] + "0"
    assert traceparent.from_xray("Root=1-5759e988-bd862e3fe1be46a994272793") is None  # no parent to name


def test_a_new_trace_is_sampled_and_begins_with_its_second() -> None:
    made = traceparent.new(1_790_000_000.9, secrets.token_bytes(20))
    trace = traceparent.trace_id(made)
    assert trace is not None
    assert int(trace[:8], 16) == 1_790_000_000
    assert traceparent.is_sampled(made)
    assert made != traceparent.new(1_790_000_000.9, secrets.token_bytes(20))


def test_only_traces_that_their_producers_sample_are_followed_each_once() -> None:
    unsampled = f"00-{'a' * 32}-53995c3f42cd8ad8-00"
    other = f"00-{'b' * 32}-53995c3f42cd8ad8-01"
    texts = [None, W3C, unsampled, "nonsense-01", XRAY, other, W3C]
    assert traceparent.sampled_ids(texts, 10) == [TRACE, "b" * 32]
    assert traceparent.sampled_ids(texts, 1) == [TRACE]
