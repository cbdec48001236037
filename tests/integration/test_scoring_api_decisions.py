"""What the API decides is stored before it is told, and the first decision about an id stands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.aws import RESERVE_MS
from scoring.api import respond
from scoring.endpoints import Endpoints
from scoring.wiring import BUS_TIMEOUT_S
from stream_features import spec as specs
from streamscore.local.emulator import Emulator
from tests import small_model
from tests.faulty_edge import READ, WRITE, Edge, Fault, Silent
from tests.integration.scoring_calls import call, event, http, vector
from tests.integration.scoring_stack import (
    NOW_MS,
    ScoringStack,
    deliver,
    fresh_stack,
    label,
    record,
    row,
)

stack = fresh_stack


@pytest.fixture
def api(stack: ScoringStack) -> Endpoints:
    return Endpoints(stack.wired())


@pytest.fixture
def edge(stack: ScoringStack, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """DynamoDB behind an edge that does what a test chooses; patience ends with the third failed call."""
    made = Edge(emulator.endpoint, lambda operation: Fault.NONE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", made.endpoint)
    plenty_ms = RESERVE_MS + 600_000
    monkeypatch.setattr("scoring.api._patience", lambda _: lambda: 0 if made.failed >= 3 else plenty_ms)
    yield made
    made.stop()


def test_a_decision_is_stored_as_it_is_told_with_its_reasons(stack: ScoringStack, tmp_path: Path) -> None:
    version = stack.promote(tmp_path / "bundle")
    _, answer = call(Endpoints(stack.wired()), "POST", "/predict", event(amount=900.0))
    (item,) = stack.items()
    assert (item["pk"]["S"], item["source"]["S"], item["model"]["S"]) == ("a", "api", version)
    assert (item["decision"]["S"], float(item["score"]["N"])) == (answer["decision"], answer["score"])
    assert [r["M"]["feature"]["S"] for r in item["reasons"]["L"]] == [r["feature"] for r in answer["reasons"]]
    assert len(item["request"]["B"]) == 16


def test_after_a_deployment_it_still_names_the_features_it_was_decided_by(stack: ScoringStack) -> None:
    before = small_model.spec()
    first = call(Endpoints(stack.wired()), "POST", "/predict", event())
    (stack.code / "features.toml").write_text(
        f'{small_model.SPEC}\n[[feature]]\nname = "hour"\nop = "hour"\n'
    )
    after = Endpoints(stack.wired())
    unpublished = call(after, "POST", "/predict", event())
    key = f"specs/{before.sha256}.json"
    stack.client("s3").put_object(Bucket=stack.settings.data_bucket, Key=key, Body=specs.to_json(before))
    assert call(Endpoints(stack.wired()), "POST", "/predict", event()) == first
    assert first[1]["features"]
    assert unpublished[1]["features"] == {}


def test_the_same_question_gets_the_stored_answer(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    first = call(Endpoints(stack.wired()), "POST", "/predict", event(amount=900.0))
    stack.promote(tmp_path / "other", seed=1)
    otherwise = json.dumps(dict(reversed(event(amount=900.0).items()))).replace("900.0", "9.00e2")
    assert call(Endpoints(stack.wired()), "POST", "/predict", otherwise) == first
    assert len(stack.items()) == 1
    assert "second_path_score" not in stack.items()[0]


def test_another_event_under_a_used_id_is_a_conflict(stack: ScoringStack, api: Endpoints) -> None:
    call(api, "POST", "/predict", event())
    status, problem = call(api, "POST", "/predict", event(amount=11.0))
    assert (status, problem["type"]) == (409, "urn:streamscore:problem:id_reused")
    assert stack.items()[0]["kept"]["M"]["amount"] == {"N": "10.00"}


def test_an_id_twice_in_a_batch_is_decided_once(stack: ScoringStack, api: Endpoints) -> None:
    events = [event("a"), event("b"), event("a"), event("a", amount=11.0)]
    _, answer = call(api, "POST", "/batch-predict", {"events": events})
    first, _, again, other = answer["results"]
    assert {**again, "index": 0} == first
    assert other["error"]["status"] == 409
    assert [item["pk"]["S"] for item in stack.items()] == ["a", "b"]


def test_what_the_stream_decided_is_answered(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a", amount=900.0)]))
    status, answer = call(Endpoints(wiring), "POST", "/predict", event("a", amount=1.0))
    assert (status, answer["source"], answer["features"]["amount"]) == (200, "stream", 900.0)
    assert float(stack.items()[0]["second_path_score"]["N"]) < answer["score"]


def test_the_stream_that_comes_later_puts_its_score_beside_the_apis(
    stack: ScoringStack, tmp_path: Path
) -> None:
    stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    _, answer = call(Endpoints(wiring), "POST", "/predict", event("a", amount=1.0))
    deliver(wiring, record(1, [row("a", amount=900.0)]))
    (item,) = stack.items()
    assert (item["source"], float(item["score"]["N"])) == ({"S": "api"}, answer["score"])
    assert float(item["second_path_score"]["N"]) > answer["score"]
    assert call(Endpoints(wiring), "POST", "/predict", event("a", amount=1.0))[1] == answer


def test_a_decision_joins_the_label_that_came_before_it(stack: ScoringStack) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, [], [label("a")]))
    status, _ = call(Endpoints(wiring), "POST", "/predict", event("a"))
    (item,) = stack.items()
    assert (status, item["label"], item["source"]) == (200, {"BOOL": True}, {"S": "api"})
    assert int(item["label_time"]["N"]) == NOW_MS


def test_reviews_and_blocks_are_published_and_so_is_a_repeated_one(
    stack: ScoringStack, api: Endpoints
) -> None:
    events = [event("a", amount=6000.0), event("b"), vector(amount=6000.0)]
    call(api, "POST", "/batch-predict", {"events": events})
    call(api, "POST", "/predict", events[0])
    first, again = stack.published()
    assert first["detail"] == again["detail"]
    assert (first["detail-type"], first["detail"]["id"]) == ("DecisionReviewed", "a")
    assert "request" not in first["detail"]


def test_a_dead_bus_keeps_nobody_from_their_answer(
    stack: ScoringStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", "http://127.0.0.1:9")  # nobody listens on discard
    monkeypatch.setattr("scoring.record.BUS_PATIENCE_MS", 10)
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", event(amount=6000.0))
    assert (status, answer["decision"]) == (200, "review")
    monkeypatch.delenv("AWS_ENDPOINT_URL_EVENTBRIDGE")
    deliver(stack.wired(), record(1, [row("a", amount=6000.0)]))
    assert [message["detail"]["source"] for message in stack.published()] == ["api"]


def test_a_dead_bus_and_a_dead_queue_keep_nobody_from_their_answer(
    stack: ScoringStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is the event lost to the bus: it is told when the event comes by the stream."""
    monkeypatch.setattr("scoring.record.BUS_PATIENCE_MS", 10)
    for service in ("EVENTBRIDGE", "SQS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9")  # nobody listens on discard
    api = Endpoints(stack.wired())
    status, answer = call(api, "POST", "/predict", event(amount=6000.0))
    assert (status, answer["decision"], answer["rules"]) == (200, "review", ["huge"])
    assert [item["decision"]["S"] for item in stack.items()] == ["review"]
    assert "decided, not published" in capsys.readouterr().out
    batch = {"events": [event("b", amount=6000.0), event("c")]}
    status, answer = call(api, "POST", "/batch-predict", batch)
    assert (status, [result["decision"] for result in answer["results"]]) == (200, ["review", "approve"])
    for service in ("EVENTBRIDGE", "SQS"):
        monkeypatch.delenv(f"AWS_ENDPOINT_URL_{service}")
    deliver(stack.wired(), record(1, [row("a", amount=6000.0), row("b", amount=6000.0)]))
    told = [message["detail"] for message in stack.published()]
    assert [(detail["id"], detail["source"]) for detail in told] == [("a", "api"), ("b", "api")]


def test_a_bus_that_hangs_is_waited_for_once_and_then_left_alone(
    stack: ScoringStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.record.BUS_PATIENCE_MS", 10)
    with Silent() as bus:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url)
        wiring = stack.wired()
        assert wiring.bus._events._http.read_timeout_s == BUS_TIMEOUT_S
        wiring.bus._events._http.read_timeout_s = 0.05
        api = Endpoints(wiring)
        for id_ in "ab":
            status, answer = call(api, "POST", "/predict", event(id_, amount=6000.0))
            assert (status, answer["decision"]) == (200, "review")
        assert bus.asked() == 1
    assert stack.waiting() == 2


def test_a_queue_that_hangs_beside_the_bus_keeps_nobody_from_their_answer_either(
    stack: ScoringStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wait for the queue an answer, however many are to be told; later the stream tells the bus."""
    monkeypatch.setattr("scoring.record.BUS_PATIENCE_MS", 10)
    monkeypatch.setattr("scoring.wiring.BUS_TIMEOUT_S", 0.05)
    with Silent() as bus, Silent() as queue:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", queue.url)
        api = Endpoints(stack.wired())
        for ids in ("ab", "cd"):
            batch = {"events": [event(id_, amount=6000.0) for id_ in ids]}
            status, answer = call(api, "POST", "/batch-predict", batch)
            assert (status, [each["decision"] for each in answer["results"]]) == (200, ["review"] * 2)
        assert (bus.asked(), queue.asked()) == (1, 2)
    assert [item["decision"]["S"] for item in stack.items()] == ["review"] * 4
    for service in ("EVENTBRIDGE", "SQS"):
        monkeypatch.delenv(f"AWS_ENDPOINT_URL_{service}")
    deliver(stack.wired(), record(1, [row(id_, amount=6000.0) for id_ in "abcd"]))
    told = [message["detail"] for message in stack.published()]
    assert [(detail["id"], detail["source"]) for detail in told] == [(id_, "api") for id_ in "abcd"]


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.INTERNAL, Fault.UNAVAILABLE, Fault.REFUSED])
@pytest.mark.parametrize("operation", [READ, WRITE])
def test_a_throttled_table_is_answered_with_come_back_and_later_with_the_decision(
    stack: ScoringStack, edge: Edge, fault: Fault, operation: str
) -> None:
    edge.choose = lambda asked: fault if asked == operation else Fault.NONE
    api = Endpoints(stack.wired())
    reply = respond(api, http("POST", "/predict", event()))
    assert (reply["statusCode"], reply["headers"]["retry-after"]) == (503, "1")
    assert json.loads(reply["body"])["type"] == "urn:streamscore:problem:busy"
    edge.choose, edge.failed = lambda asked: Fault.NONE, 0
    assert call(api, "POST", "/predict", event())[0] == 200


def test_a_write_whose_answer_is_lost_is_answered_with_what_was_written(
    stack: ScoringStack, edge: Edge
) -> None:
    faults = iter([Fault.LOST])
    edge.choose = lambda asked: next(faults, Fault.NONE) if asked == WRITE else Fault.NONE
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", event())
    assert (status, answer["decision"]) == (200, "approve")
    assert len(stack.items()) == 1


def test_of_a_batch_only_what_could_not_be_stored_is_asked_for_again(stack: ScoringStack, edge: Edge) -> None:
    writes = 0

    def half_then_nothing(operation: str) -> Fault:
        nonlocal writes
        writes += operation == WRITE
        return (Fault.PARTIAL if writes == 1 else Fault.THROTTLED) if operation == WRITE else Fault.NONE

    edge.choose = half_then_nothing
    events = {"events": [event(id_) for id_ in "abcd"]}
    status, answer = call(Endpoints(stack.wired()), "POST", "/batch-predict", events)
    stored = {item["pk"]["S"] for item in stack.items()}
    told = [result.get("id") or result["error"]["status"] for result in answer["results"]]
    assert (status, told) == (200, ["a", "b", 503, 503])
    assert stored == {"a", "b"}


def test_reads_left_unprocessed_are_asked_for_again(stack: ScoringStack, edge: Edge) -> None:
    edge.choose = lambda operation: Fault.PARTIAL if edge.calls[READ] == 1 else Fault.NONE
    status, answer = call(Endpoints(stack.wired()), "POST", "/predict", event())
    assert (status, answer["features"]["card_count_7d"]) == (200, 1.0)
    assert edge.calls[READ] == 2
