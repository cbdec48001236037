"""Scoring over HTTP: features and decisions as on the stream, nothing written, errors that name the field."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring.api import MAX_EVENTS, respond
from scoring.wiring import Wiring
from stream_features.events import decoder
from stream_features.kernel import Columns, Group, fold
from stream_features.state import BEFORE_ALL, Item, encode_item
from streamscore.local.emulator import Emulator
from tests import small_model
from tests.integration.scoring_stack import ScoringStack, deliver, record, row, scoring_stack

NOW = datetime.now(UTC)


@pytest.fixture
def stack(
    emulator: Emulator,
    client: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ScoringStack]:
    with scoring_stack(emulator, client, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def empty(
    emulator: Emulator, client: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wiring]:
    """A stack in which nothing is, for requests that leave it so."""
    code = tmp_path_factory.mktemp("code")
    with pytest.MonkeyPatch.context() as environ, scoring_stack(emulator, client, code, environ) as made:
        yield made.wired()


def event(id_: str = "a", amount: float = 10.0, minutes_ago: float = 0, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return {"id": id_, "at": at, "card": "c1", "terminal": "t1", "amount": amount, "shop": "books", **more}


def http(method: str, path: str, body: Any = None, *, encoded: bool = False) -> dict[str, Any]:
    """An event of an HTTP API, payload format 2.0."""
    text = body if isinstance(body, str) else json.dumps(body)
    text = base64.b64encode(text.encode()).decode() if encoded else text
    asked = {"http": {"method": method, "path": path}}
    return {
        "version": "2.0",
        "rawPath": path,
        "requestContext": asked,
        "isBase64Encoded": encoded,
        "body": text,
    }


def call(wiring: Any, *request: Any, **more: Any) -> tuple[int, Any]:
    reply = respond(wiring, http(*request, **more))
    problem = reply["statusCode"] >= 400
    assert reply["headers"]["content-type"] == f"application/{'problem+json' if problem else 'json'}"
    return reply["statusCode"], json.loads(reply["body"])


def store_history(stack: ScoringStack, events: list[dict[str, Any]]) -> None:
    """The state of card c1 after these events, as stream_features writes it."""
    spec = small_model.spec()
    now_ms = time.time_ns() // 1_000_000
    records = [decoder(spec).decode(json.dumps(e).encode(), now_ms) for e in events]
    group = Group(np.zeros(len(records), np.int32), [b""], np.ones(len(records), bool))
    blobs = fold(spec, Columns.from_records(spec, records), [group, group]).blobs
    w, s = encode_item(Item(v=1, mark=BEFORE_ALL, blob=blobs[0][0]), 0, now_ms)
    item = {"pk": {"S": "card#c1"}, "v": {"N": "1"}, "w": {"B": w}, "s": {"B": s}}
    stack.client("dynamodb").put_item(TableName=stack.settings.state_table, Item=item)


def test_an_event_is_answered_with_its_features_as_of_now_and_nothing_is_written(
    stack: ScoringStack, tmp_path: Path
) -> None:
    version = stack.promote(tmp_path / "bundle")
    store_history(stack, [event("h1", 100.0, 3000), event("h2", 2.0, 30), event("h3", 1.0, 10)])
    status, answer = call(stack.wired(), "POST", "/predict", event(amount=900.0))
    assert status == 200
    assert answer["features"] == {
        "amount": 900.0, "card_count_1d": 3.0, "card_count_7d": 4.0, "card_mean_1d": 301.0
    }  # fmt: skip
    vector = np.array([list(answer["features"].values())], np.float32)
    assert answer["score"] == small_model.model().scores(vector)[0]
    assert answer["confidence"] == max(answer["score"], 1 - answer["score"])
    assert (answer["id"], answer["decision"], answer["model"]) == ("a", "review", version)
    assert answer["reasons"][0]["feature"] == "amount"
    assert stack.items() == []
    assert stack.published() == []
    assert call(stack.wired(), "POST", "/predict", event(amount=900.0))[1]["score"] == answer["score"]


def test_an_entity_without_history_is_answered_too(stack: ScoringStack) -> None:
    status, answer = call(stack.wired(), "POST", "/predict", event(), encoded=True)
    assert (status, answer["features"]["card_count_7d"]) == (200, 1.0)
    assert (answer["decision"], answer["reasons"], answer["score"]) == ("approve", ["no_model"], None)


def test_events_of_one_call_do_not_see_each_other(stack: ScoringStack) -> None:
    body = {"events": [event("a"), {"id": "b"}, event("c", amount=6000.0)]}
    status, answer = call(stack.wired(), "POST", "/batch-predict", body)
    first, second, third = answer["results"]
    assert status == 200
    assert [result["index"] for result in answer["results"]] == [0, 1, 2]
    assert first["features"]["card_count_1d"] == third["features"]["card_count_1d"] == 1.0
    assert second["error"]["reason"] == "missing_field"
    assert "at" in second["error"]["detail"]
    assert (third["decision"], third["rules"]) == ("review", ["huge"])


def test_a_ready_vector_is_scored_as_it_is(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    features = {"amount": 900.0, "card_count_1d": 2, "card_count_7d": 5, "card_mean_1d": None}
    status, answer = call(stack.wired(), "POST", "/predict", {"features": features})
    expected = small_model.model().scores(np.array([[900, 2, 5, np.nan]], np.float32))[0]
    assert (status, answer["score"], answer["id"]) == (200, expected, None)


def test_direct_invocation_takes_the_same_bodies(stack: ScoringStack) -> None:
    wiring = stack.wired()
    assert respond(wiring, event())["decision"] == "approve"
    assert len(respond(wiring, {"events": [event(), event()]})["results"]) == 2
    assert respond(wiring, {"id": "a"})["status"] == 422
    assert respond(wiring, ["not", "an", "object"])["status"] == 422


def test_a_decision_can_be_read_back(stack: ScoringStack) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a")]))
    status, answer = call(wiring, "GET", "/decisions/a")
    assert (status, answer["id"], answer["decision"], answer["kept"]["shop"]) == (
        200,
        "a",
        "approve",
        "books",
    )
    assert call(wiring, "GET", "/decisions/z")[0] == 404


def test_health_says_what_would_decide(stack: ScoringStack, tmp_path: Path) -> None:
    assert call(stack.wired(), "GET", "/health")[1]["absent"] == "no_model"
    version = stack.promote(tmp_path / "bundle")
    assert call(stack.wired(), "GET", "/health") == (
        200, {"status": "ok", "model": version, "absent": "", "spec": small_model.spec().sha256}
    )  # fmt: skip


def test_an_event_is_put_on_the_stream_as_it_was_written(
    stack: ScoringStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis = stack.client("kinesis")
    kinesis.create_stream(StreamName=stack.settings.events_stream, ShardCount=1)
    body = json.dumps(event(amount=12.30)).replace("12.3", "12.30")
    status, answer = call(stack.wired(), "POST", "/events", body)
    assert (status, answer["id"]) == (202, "a")
    at = kinesis.get_shard_iterator(
        StreamName=stack.settings.events_stream, ShardId=answer["shard"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    (put,) = kinesis.get_records(ShardIterator=at)["Records"]
    assert (put["Data"], put["PartitionKey"]) == (body.encode(), "c1")


@pytest.mark.parametrize(
    ("request_", "status", "names"),
    [
        (("POST", "/predict", "{"), 422, "the body"),
        (("POST", "/predict", "[]"), 422, "the body"),
        (("POST", "/predict", ""), 422, "the body"),
        (("POST", "/predict", {"id": "a"}), 422, "at"),
        (("POST", "/predict", event(amount="much")), 422, "amount"),
        (("POST", "/predict", event(amount=1.234)), 422, "amount"),
        (("POST", "/predict", event(at="2031-01-01T00:00:00Z")), 422, "at"),
        (("POST", "/predict", event(type="label", fraud=True)), 422, "label"),
        (("POST", "/predict", {"features": 1}), 422, "features"),
        (("POST", "/predict", {"features": {"amount": 1}}), 422, "card_count_1d"),
        (("POST", "/predict", {"features": {"other": 1}}), 422, "other"),
        (("POST", "/predict", "x" * 1_000_001), 413, "1000001 bytes"),
        (("POST", "/batch-predict", {}), 422, "events"),
        (("POST", "/batch-predict", {"events": 1}), 422, "events"),
        (("POST", "/batch-predict", {"events": [1] * (MAX_EVENTS + 1)}), 413, "501"),
        (("POST", "/events", {"id": "a"}), 422, "at"),
        (("GET", "/predict", None), 405, "POST"),
        (("GET", "/elsewhere", None), 404, "/elsewhere"),
    ],
)
def test_a_bad_request_is_a_problem_that_names_the_field(
    empty: Wiring, request_: tuple[str, str, Any], status: int, names: str
) -> None:
    got, problem = call(empty, *request_)
    assert (got, problem["status"]) == (status, status)
    assert names in problem["detail"]


def test_throttled_reads_are_answered_with_come_back(
    stack: ScoringStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens on discard
    reply = respond(stack.wired(), http("POST", "/predict", event()))
    assert reply["statusCode"] == 503
    assert reply["headers"]["retry-after"] == "1"
