"""Scoring over HTTP: features and decisions as on the stream; errors that name the field."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from common.telemetry import meter
from scoring.api import respond
from scoring.endpoints import MAX_EVENTS, Endpoints
from streamscore.local.emulator import Emulator
from tests import small_model
from tests.integration.scoring_calls import call, event, http, store_history, vector
from tests.integration.scoring_stack import (
    ScoringStack,
    deliver,
    fresh_stack,
    label,
    record,
    row,
    scoring_stack,
)

stack = fresh_stack


@pytest.fixture(scope="module")
def empty(
    emulator: Emulator, client: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoints]:
    """A stack in which nothing is, for requests that leave it so."""
    code = tmp_path_factory.mktemp("code")
    with pytest.MonkeyPatch.context() as environ, scoring_stack(emulator, client, code, environ) as made:
        yield Endpoints(made.wired())


def test_an_event_is_answered_with_its_features_as_of_now(stack: ScoringStack, tmp_path: Path) -> None:
    version = stack.promote(tmp_path / "bundle")
    store_history(stack, [event("h1", 100.0, 3000), event("h2", 2.0, 30), event("h3", 1.0, 10)])
    before = stack.client("dynamodb").scan(TableName=stack.settings.state_table)["Items"]
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", event(amount=900.0))
    assert status == 200
    assert answer["features"] == {
        "amount": 900.0, "card_count_1d": 3.0, "card_count_7d": 4.0, "card_mean_1d": 301.0
    }  # fmt: skip
    vector = np.array([list(answer["features"].values())], np.float32)
    assert answer["score"] == small_model.model().scores(vector)[0]
    assert answer["confidence"] == answer["score"]
    assert (answer["id"], answer["decision"], answer["model"]) == ("a", "review", version)
    assert (answer["source"], answer["reasons"][0]["feature"]) == ("api", "amount")
    assert stack.client("dynamodb").scan(TableName=stack.settings.state_table)["Items"] == before


def test_the_confidence_in_an_approval_is_that_it_is_right(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", event(amount=1.0))
    assert (status, answer["decision"]) == (200, "approve")
    assert answer["confidence"] == pytest.approx(1 - answer["score"])


def test_an_entity_without_history_is_answered_too(stack: ScoringStack) -> None:
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", event(), encoded=True)
    assert (status, answer["features"]["card_count_7d"]) == (200, 1.0)
    assert (answer["decision"], answer["reasons"], answer["score"]) == ("approve", ["no_model"], None)


def test_events_of_one_call_do_not_see_each_other(stack: ScoringStack) -> None:
    events = [event("a"), {"id": "b"}, event("c", amount=6000.0), vector(), vector(amount="much")]
    body = {"events": events, "features": True}
    status, answer = call(Endpoints(stack.wired()), "POST", "/batch-predict", body)
    first, second, third, ready, unfit = answer["results"]
    assert status == 200
    assert [result["index"] for result in answer["results"]] == [0, 1, 2, 3, 4]
    assert first["features"]["card_count_1d"] == third["features"]["card_count_1d"] == 1.0
    assert (second["error"]["status"], second["error"]["reason"]) == (422, "missing_field")
    assert second["error"]["field"] == "at"
    assert (third["decision"], third["rules"]) == ("review", ["huge"])
    assert (ready["id"], ready["features"]["card_count_7d"]) == (None, 5.0)
    assert unfit["error"]["field"] == "features.amount"


def test_a_batch_names_features_only_if_asked(stack: ScoringStack) -> None:
    status, answer = call(Endpoints(stack.wired()), "POST", "/batch-predict", {"events": [event()]})
    assert status == 200
    assert "features" not in answer["results"][0]


def test_a_ready_vector_is_scored_as_it_is_and_nothing_is_stored(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", vector())
    expected = small_model.model().scores(np.array([[900, 2, 5, np.nan]], np.float32))[0]
    assert (status, answer["score"], answer["id"]) == (200, expected, None)
    assert stack.items() == []


def test_an_event_with_a_field_named_features_is_an_event(stack: ScoringStack) -> None:
    spec = small_model.SPEC.replace('shop = "string?"', 'shop = "string? @ features.shop"')
    (stack.code / "features.toml").write_text(spec)
    asked = event() | {"features": {"shop": "tools"}}
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", asked)
    assert (status, answer["id"]) == (200, "a")
    assert stack.items()[0]["kept"]["M"]["shop"] == {"S": "tools"}


def test_direct_invocation_takes_the_same_bodies(stack: ScoringStack) -> None:
    api = Endpoints(stack.wired())
    assert respond(api, event())["decision"] == "approve"
    assert len(respond(api, {"events": [event(), event("b")]})["results"]) == 2
    assert respond(api, vector())["decision"] == "approve"
    assert respond(api, {"id": "a"})["status"] == 422
    assert respond(api, event("c") | {"events": 1, "requestContext": 5})["decision"] == "approve"
    for body in (["not", "an", "object"], "text", None, 1):
        assert respond(api, body)["status"] == 422
    assert respond(api, event(amount=float("nan")))["status"] == 400


@pytest.mark.parametrize("id_", ["a", "ä /?#%25+&=\u0000\u20ac", "x" * 1024])
def test_a_decision_can_be_read_back_whatever_its_id(stack: ScoringStack, id_: str) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, [row(id_)]))
    api = Endpoints(wiring)
    status, answer = call(api, "GET", f"/decisions/{id_}")
    assert (status, answer["id"], answer["decision"]) == (200, id_, "approve")
    assert (answer["kept"]["shop"], "features" in answer, "request" in answer) == ("books", False, False)
    assert call(api, "GET", "/decisions", query=f"id={quote(id_)}") == (200, answer)
    routed = {
        **http("GET", "/stage/decisions/?"),
        "routeKey": "GET /decisions/{id+}",
        "pathParameters": {"id": id_},
    }
    assert json.loads(respond(api, routed)["body"]) == answer


def test_what_was_not_decided_is_not_found(stack: ScoringStack) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, [], [label("early")]))
    for id_ in ("z", "early", "x" * 5000, ""):
        status, problem = call(Endpoints(wiring), "GET", f"/decisions/{id_}")
        assert (status, problem["field"]) == (404, "id")


def test_health_says_what_would_decide(stack: ScoringStack, tmp_path: Path) -> None:
    assert call(Endpoints(stack.wired()), "GET", "/health")[1]["absent"] == "no_model"
    version = stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    policy = wiring.serving.current().policy.version
    assert call(Endpoints(wiring), "GET", "/health") == (
        200,
        {
            "status": "ok",
            "model": version,
            "absent": "",
            "challenger": None,
            "policy": policy,
            "spec": small_model.spec().sha256,
        },
    )


def test_an_event_is_put_on_the_stream_as_it_was_written(stack: ScoringStack) -> None:
    kinesis = stack.client("kinesis")
    kinesis.create_stream(StreamName=stack.settings.events_stream, ShardCount=1)
    body = json.dumps(event(amount=12.30)).replace("12.3", "12.30")
    status, answer = call(Endpoints(stack.wired()), "POST", "/events", body)
    assert (status, answer["id"]) == (202, "a")
    at = kinesis.get_shard_iterator(
        StreamName=stack.settings.events_stream, ShardId=answer["shard"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    (put,) = kinesis.get_records(ShardIterator=at)["Records"]
    assert (put["Data"], put["PartitionKey"]) == (body.encode(), "c1")
    assert call(Endpoints(stack.wired()), "POST", "/events", event(card="c" * 1000))[0] == 202


@pytest.mark.parametrize(
    ("request_", "status", "reason", "field"),
    [
        (("POST", "/predict", "{"), 400, "bad_json", None),
        (("POST", "/predict", ""), 400, "bad_json", None),
        (("POST", "/predict", '{"id": NaN}'), 400, "not_finite", None),
        (("POST", "/predict", "[]"), 422, "not_an_object", None),
        (("POST", "/predict", {"id": "a"}), 422, "missing_field", "at"),
        (("POST", "/predict", event(amount="much")), 422, "wrong_type", "amount"),
        (("POST", "/predict", event(amount=1.234)), 422, "too_many_decimals", "amount"),
        (("POST", "/predict", event(at="2031-01-01T00:00:00Z")), 422, "too_far_ahead", "at"),
        (("POST", "/predict", event(type="label", fraud=True, label_time=1)), 422, "is_label", "type"),
        (("POST", "/predict", {"features": 1}), 422, "wrong_type", "features"),
        (("POST", "/predict", {"features": {"amount": 1}}), 422, "missing_feature", "features.card_count_1d"),
        (("POST", "/predict", {"features": {"other": 1}}), 422, "unknown_feature", "features.other"),
        (("POST", "/predict", vector(amount=True)), 422, "wrong_type", "features.amount"),
        (("POST", "/predict", vector(amount=10**400)), 422, "out_of_range", "features.amount"),
        (("POST", "/predict", "x" * 1_000_001), 413, "too_large", None),
        (("POST", "/batch-predict", '{"events": ' + "[" * 100_000), 400, "bad_json", None),
        (("POST", "/batch-predict", [1]), 422, "wrong_type", None),
        (("POST", "/batch-predict", {}), 422, "wrong_type", "events"),
        (("POST", "/batch-predict", {"events": 1}), 422, "wrong_type", "events"),
        (("POST", "/batch-predict", {"events": [1] * (MAX_EVENTS + 1)}), 413, "too_many", "events"),
        (("POST", "/events", {"id": "a"}), 422, "missing_field", "at"),
        (("GET", "/predict", None), 405, None, None),
        (("DELETE", "/decisions/a", None), 405, None, None),
        (("GET", "/elsewhere", None), 404, None, None),
    ],
)
def test_a_bad_request_is_a_problem_that_names_the_field(
    empty: Endpoints, request_: tuple[str, str, Any], status: int, reason: str | None, field: str | None
) -> None:
    got, problem = call(empty, *request_)
    assert (got, problem["status"]) == (status, status)
    assert (problem.get("reason"), problem.get("field")) == (reason, field)
    assert problem["type"].startswith("urn:streamscore:problem:")


def test_a_wrong_method_is_told_which_is_right(empty: Endpoints) -> None:
    assert respond(empty, http("GET", "/predict"))["headers"]["allow"] == "POST"


def test_a_large_request_is_billed_as_the_requests_it_counts_for(empty: Endpoints) -> None:
    before = meter().usage.http_requests
    call(empty, "GET", "/health")
    call(empty, "POST", "/predict", "x" * 600_000)
    assert meter().usage.http_requests - before == 3
