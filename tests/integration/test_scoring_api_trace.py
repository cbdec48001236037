"""A request's trace: told back in the answer's headers, kept in the decision, put on the stream."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scoring.api import respond
from scoring.endpoints import Endpoints
from streamscore.local.emulator import Emulator
from tests import small_model
from tests.integration.scoring_calls import event, http
from tests.integration.scoring_stack import ScoringStack, scoring_stack

TRACE = "5759e988bd862e3fe1be46a994272793"
MINE = f"00-{TRACE}-53995c3f42cd8ad8-01"
OWN = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
LAMBDAS = "Root=1-67890abc-abcdef0123456789abcdef01;Parent=1234567890abcdef;Sampled=0"
SPEC = small_model.SPEC.replace('keep = ["amount", "shop"]', 'trace = "tp"\nkeep = ["amount", "shop"]')


@pytest.fixture
def stack(
    emulator: Emulator, client: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ScoringStack]:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", LAMBDAS)
    with scoring_stack(emulator, client, tmp_path, monkeypatch) as made:
        (made.code / "features.toml").write_text(SPEC)
        yield made


def ask(stack: ScoringStack, path: str, body: Any, **headers: str) -> dict[str, Any]:
    reply: dict[str, Any] = respond(
        Endpoints(stack.wired()), {**http("POST", path, body), "headers": headers}
    )
    assert reply["statusCode"] < 300
    return reply["headers"]


def traces(stack: ScoringStack) -> dict[str, str]:
    return {item["pk"]["S"]: item["trace"]["S"] for item in stack.items()}


def test_a_caller_gets_its_trace_back_and_the_decision_keeps_it(stack: ScoringStack) -> None:
    headers = ask(stack, "/predict", event("a"), traceparent=MINE)
    assert headers["traceparent"] == MINE
    assert headers["x-amzn-trace-id"] == f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1"
    assert traces(stack) == {"a": MINE}


@pytest.mark.parametrize("header", [None, "", "nonsense", MINE + "-more", "01-" + MINE[3:] + "-" + "x" * 99])
def test_without_one_it_is_the_trace_of_aws(stack: ScoringStack, header: str | None) -> None:
    headers = ask(stack, "/predict", event("a"), **({} if header is None else {"traceparent": header}))
    aws = "00-67890abcabcdef0123456789abcdef01-1234567890abcdef-00"
    assert (headers["traceparent"], traces(stack)) == (aws, {"a": aws})


def test_an_event_with_a_trace_of_its_own_keeps_it(stack: ScoringStack) -> None:
    events = [event("a", tp=OWN), event("b")]
    headers = ask(stack, "/batch-predict", {"events": events}, traceparent=MINE)
    assert headers["traceparent"] == MINE
    assert traces(stack) == {"a": OWN, "b": MINE}


def test_a_problem_names_the_trace_too(stack: ScoringStack) -> None:
    request = {**http("POST", "/predict", "{"), "headers": {"traceparent": MINE}}
    assert respond(Endpoints(stack.wired()), request)["headers"]["traceparent"] == MINE


def test_an_event_put_on_the_stream_takes_the_requests_trace_along(stack: ScoringStack) -> None:
    kinesis, stream = stack.client("kinesis"), f"{stack.settings.stack_name}-events"
    stack.settings = dataclasses.replace(stack.settings, events_stream=stream)
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    written = json.dumps(event("a", amount=12.30)).replace("12.3", "12.30")
    own = json.dumps(event("b", tp=OWN))
    label = json.dumps(event("c") | {"type": "label", "fraud": True, "label_time": event()["at"]})
    for body in (written, own, label):
        ask(stack, "/events", body, traceparent=MINE)
    shard = kinesis.list_shards(StreamName=stream)["Shards"][0]["ShardId"]
    at = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    first, second, third = (
        record["Data"].decode()
        for record in kinesis.get_records(ShardIterator=at["ShardIterator"])["Records"]
    )
    assert first == written.replace("{", f'{{"tp":"{MINE}",', 1)
    assert (second, third) == (own, label)
