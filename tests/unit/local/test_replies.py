"""What counts as success, as failure from a record on, and as failure of everything."""

import json
from typing import Any

import pytest

from streamscore.local.delivery import (
    Deliver,
    Failed,
    FailedFrom,
    Record,
    Refused,
    Reply,
    Rules,
    Succeeded,
)
from streamscore.local.function_process import Outcome
from streamscore.local.replies import read_reply

BATCH = Deliver(tuple(Record(sequence, 0, b"{}") for sequence in ("10", "11", "12")))
MALFORMED = Failed(errored=False)
REPORTING = Rules(reports_failures=True)


def reported(*identifiers: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [
        (None, Succeeded()),
        ({}, Succeeded()),
        ({"batchItemFailures": None}, Succeeded()),
        ({"batchItemFailures": []}, Succeeded()),
        (reported("12"), FailedFrom(2)),
        (reported("12", "11"), FailedFrom(1)),
        (reported("10"), FailedFrom(0)),
        (reported(""), MALFORMED),
        (reported(None), MALFORMED),
        (reported("13"), MALFORMED),
        (reported("12", "13"), MALFORMED),
        (reported(12), MALFORMED),
        (reported(["12"]), MALFORMED),
        ({"batchItemFailures": [{"id": "12"}]}, MALFORMED),
        ({"batchItemFailures": ["12"]}, MALFORMED),
        ({"batchItemFailures": "12"}, MALFORMED),
        ("all good", MALFORMED),
        ([], MALFORMED),
    ],
)
def test_a_reply_of_a_function_that_reports(reply: Any, meaning: Reply) -> None:
    assert read_reply(REPORTING, BATCH, Outcome(json.dumps(reply).encode(), failed=False)) == meaning


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_a_reply_that_is_not_json_fails_everything(payload: bytes) -> None:
    assert read_reply(REPORTING, BATCH, Outcome(payload, failed=False)) == MALFORMED


def test_what_lambda_did_not_run_has_not_failed() -> None:
    throttled = Outcome(b"Rate exceeded", failed=True, refused=True)
    assert read_reply(REPORTING, BATCH, throttled) == Refused()


def test_a_function_error_fails_everything_whatever_its_document_says() -> None:
    assert read_reply(REPORTING, BATCH, Outcome(b"{}", failed=True)) == Failed()


def test_a_mapping_without_reports_ignores_them() -> None:
    payload = json.dumps(reported("10")).encode()
    assert read_reply(Rules(), BATCH, Outcome(payload, failed=False)) == Succeeded()


@pytest.mark.parametrize(
    ("reply", "final", "meaning"),
    [
        ({"state": {"n": 1}}, False, Succeeded(b'{"n": 1}')),
        ({"state": {"n": 1}, **reported("11")}, False, FailedFrom(1, b'{"n": 1}')),
        ({"state": {"n": 1}, **reported("10")}, False, FailedFrom(0, None)),
        ({}, False, MALFORMED),
        (reported(), False, MALFORMED),
        ({"state": "text"}, False, MALFORMED),
        ({}, True, Succeeded()),
    ],
)
def test_a_windowed_reply_needs_state_until_the_last(reply: Any, final: bool, meaning: Reply) -> None:
    rules = Rules(reports_failures=True, tumbling_ms=1000)
    batch = Deliver(() if final else BATCH.records, final=final)
    assert read_reply(rules, batch, Outcome(json.dumps(reply).encode(), failed=False)) == meaning
