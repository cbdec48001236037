"""One event by both paths, over real HTTP on the local stack: it is decided once, whichever came first."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scoring.pointers import ALL
from streamscore.local.stack import Stack
from streamscore.training import bundles, pointers
from tests import small_model
from tests.conftest import poll_until


class Both:
    """A stack that polls, with a model of the spec that ships; what came by either path, and was stored."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.stack.outputs["HttpApiUrl"] + path, data)
        try:
            with urllib.request.urlopen(asked, timeout=60) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stream(self, record: dict[str, Any]) -> None:
        """Put it on the stream and wait until all that follows from it is done."""
        assert self.ask("/events", record)[0] == 202
        self.stack.drain()

    def stored(self, id_: str) -> dict[str, Any]:
        found = self.stack.client("dynamodb").get_item(
            TableName=self.stack.outputs["DecisionsTableName"], Key={"pk": {"S": id_}}, ConsistentRead=True
        )
        return dict(found["Item"])


@pytest.fixture(scope="module")
def both(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder, trained = tmp_path_factory.mktemp("bundle"), small_model.shipped()
    bundles.write(trained.bundle, trained.model, folder)
    version = bundles.register(stack.client("s3"), stack.outputs["DataBucketName"], folder)
    prefix, made = stack.outputs["PointerPrefix"], Both(stack)
    pointers.point(stack.client("ssm"), prefix, version, "test")
    stack.start()
    tried = iter(range(1000))

    def stream_scores() -> bool:
        made.stream(event(id_ := f"both-warm-{next(tried)}", customer="warm"))
        return made.stored(id_).get("model") == {"S": version.version}

    poll_until(lambda: made.ask("/health")[1]["model"] == version.version, "the API has the model", 30)
    poll_until(stream_scores, "the stream's scorer has the model", 30)
    yield made
    stack.stop()
    stack.client("ssm").delete_parameters(Names=[f"{prefix}/{name}" for name in ALL])


def event(id_: str, customer: str, amount: float = 31.5, minutes_ago: int = 0) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    names = {"customer_id": f"both-{customer}", "terminal_id": f"both-at-{customer}"}
    return {"transaction_id": id_, "event_time": at.isoformat(), **names, "amount": amount}


def label_of(of: dict[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in of.items() if name != "amount"}
    return {**known, "type": "label", "is_fraud": True, "label_time": datetime.now(UTC).isoformat()}


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


def test_what_was_answered_stands_when_the_stream_brings_it_and_was_the_streams_score_to_the_bit(
    both: Both,
) -> None:
    both.stream(event("both-1", "first", amount=20.0, minutes_ago=5))
    asked = event("both-2", "first")
    status, answer = both.ask("/predict", asked)
    assert (status, answer["source"]) == (200, "api")
    first = both.stored("both-2")

    both.stream(asked)

    second = both.stored("both-2")
    assert second.pop("second_path_score") == first["score"], "features as of then are what the stream has"
    assert second == first
    assert both.ask("/predict", asked) == (200, answer)
    assert both.ask("/predict", asked | {"amount": 99.0})[0] == 409
    assert without(both.stored("both-2"), "second_path_score") == first


def test_what_the_stream_decided_stands_when_it_is_asked_about(both: Both) -> None:
    asked = event("both-3", "second")
    both.stream(asked)
    first = both.stored("both-3")
    assert (first["source"], "second_path_score" in first) == ({"S": "stream"}, False)

    status, answer = both.ask("/predict", asked)

    assert (status, answer["source"], answer["score"]) == (200, "stream", float(first["score"]["N"]))
    assert without(both.stored("both-3"), "second_path_score") == first
    measured = both.stored("both-3")["second_path_score"]
    both.ask("/batch-predict", {"events": [asked, asked]})
    assert both.stored("both-3") == first | {"second_path_score": measured}


def test_a_label_that_came_first_is_joined_by_one_decision_of_either_path(both: Both) -> None:
    asked, streamed = event("both-4", "third"), event("both-5", "fourth")
    both.stream(label_of(asked))
    both.stream(label_of(streamed))
    stubs = {id_: both.stored(id_) for id_ in ("both-4", "both-5")}
    assert ["scored_at" in stub for stub in stubs.values()] == [False, False]
    assert both.ask("/decisions/both-4")[0] == 404, "a label is no decision"

    assert both.ask("/predict", asked)[1]["source"] == "api"
    both.stream(streamed)
    decided = {id_: both.stored(id_) for id_ in stubs}
    both.stream(asked)
    assert both.ask("/predict", streamed)[1]["source"] == "stream"

    for id_, source in (("both-4", "api"), ("both-5", "stream")):
        assert decided[id_]["source"] == {"S": source}
        assert {n: decided[id_][n] for n in ("label", "label_time")} == {
            n: stubs[id_][n] for n in ("label", "label_time")
        }
        assert without(both.stored(id_), "second_path_score") == without(decided[id_], "second_path_score")
