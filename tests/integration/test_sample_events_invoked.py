"""Each file of events/ given to its real function, in a stack of its own that nothing polls."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamscore.local import stack as stacks

EVENTS = Path(__file__).resolve().parents[2] / "events"


@pytest.fixture(scope="module")
def quiet_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    root = tmp_path_factory.mktemp("samples")
    yield stacks.up(root, port=0, detached=False)
    stacks.down(root)


def invoke(stack: stacks.Stack, function: str, sample: str) -> Any:
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs[f"{function}FunctionName"],
        Payload=(EVENTS / f"{sample}.json").read_bytes(),
    )
    document = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, document
    return document


def items(stack: stacks.Stack, table: str) -> dict[str, dict[str, Any]]:
    found = stack.client("dynamodb").scan(TableName=stack.outputs[f"{table}TableName"])["Items"]
    return {item["pk"]["S"]: item for item in found}


@pytest.mark.parametrize("sample", ["features-plain", "features-kpl"])
def test_a_batch_of_events_is_applied_once_plain_or_aggregated(
    quiet_stack: stacks.Stack, sample: str
) -> None:
    assert invoke(quiet_stack, "StreamFeatures", sample) == {"batchItemFailures": []}
    state = items(quiet_stack, "State")
    assert {"customer#17", "customer#23", "terminal#5", "terminal#8"} <= set(state)
    again = invoke(quiet_stack, "StreamFeatures", sample)
    assert again == {"batchItemFailures": []}
    assert items(quiet_stack, "State") == state


def test_poison_goes_to_quarantine_and_the_rest_moves_on(quiet_stack: stacks.Stack) -> None:
    assert invoke(quiet_stack, "StreamFeatures", "features-poison") == {"batchItemFailures": []}
    bucket = quiet_stack.outputs["DataBucketName"]
    kept = quiet_stack.client("s3").list_objects_v2(Bucket=bucket, Prefix="quarantine/")
    assert len(kept["Contents"]) == 1


def test_rows_of_the_state_stream_become_decisions(quiet_stack: stacks.Stack) -> None:
    assert invoke(quiet_stack, "Scoring", "scoring-state-stream") == {"batchItemFailures": []}
    decisions = items(quiet_stack, "Decisions")
    assert {"1001", "1002", "1003", "1004", "1005"} <= set(decisions)
    assert decisions["1001"]["label"] == {"BOOL": True}
    assert [r["S"] for r in decisions["1002"]["reasons"]["L"]] == ["no_model"]


def test_a_window_answers_with_its_state_and_is_written_when_it_ends(quiet_stack: stacks.Stack) -> None:
    first = invoke(quiet_stack, "MonitorWindows", "monitor-window")
    assert first["batchItemFailures"] == []
    assert [tally["model"] for tally in first["state"]["tallies"]] == ["sample-model"]
    assert not items(quiet_stack, "Monitor")
    assert "state" in invoke(quiet_stack, "MonitorWindows", "monitor-window-final")
    assert items(quiet_stack, "Monitor")["sample-model"]["decided"] == {"N": "5"}


def test_the_schedule_looks_at_the_hour_before(quiet_stack: stacks.Stack) -> None:
    assert invoke(quiet_stack, "MonitorSchedule", "monitor-schedule") == {
        "model": None,
        "since": "2026-11-24T12:00:00Z",
        "until": "2026-11-24T13:00:00Z",
    }


@pytest.mark.parametrize(
    ("sample", "status"),
    [
        ("api-health", 200),
        ("api-openapi", 200),
        ("api-predict", 200),
        ("api-batch-predict", 200),
        ("api-put-event", 202),
        ("api-decision", 200),
    ],
)
def test_requests_of_the_http_api_are_answered(quiet_stack: stacks.Stack, sample: str, status: int) -> None:
    invoke(quiet_stack, "Scoring", "scoring-state-stream")  # the decision that is asked for; at most once
    answer = invoke(quiet_stack, "ScoringApi", sample)
    assert answer["statusCode"] == status, answer["body"]
    assert answer["headers"]["content-type"] == "application/json"
