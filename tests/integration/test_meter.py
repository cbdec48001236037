"""What the functions meter in scripted runs against bills worked out by hand, by AWS's rounding rules."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common import telemetry
from common.dynamodb import DynamoDB
from common.dynamodb_wire import Wire
from stream_features.handler import Runtime, apply_batch
from streamscore.local.emulator import Emulator
from tests.integration.scoring_stack import ScoringStack, deliver, label, record, row, scoring_stack
from tests.integration.stream_runtime import NOW_MS, a_minute, event, items, runtime
from tests.stream_events import FIRST_SEQUENCE, kinesis_event

__all__ = ["items", "runtime"]

CONTEXT = SimpleNamespace(aws_request_id="r", memory_limit_in_mb="1769")
# US dollars for one unit, us-east-1, as on AWS's pages: not taken from the table under test.
WRITE, READ, PUT_UNIT, BUS_EVENT, S3_PUT = 0.625e-6, 0.125e-6, 0.014e-6, 1e-6, 5e-6
QUEUE_REQUEST = 0.4e-6
REQUEST, GB_S, LOG_GB = 0.2e-6, 0.0000166667, 0.50
DURATION_MS, BILLED_MS = 149.2, 150


def metered(
    work: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> tuple[dict[str, float], float, float]:
    """One warm invocation of 149.2 ms that does the work: (USD by component, the total, the logs' part)."""
    capsys.readouterr()
    telemetry._begin(CONTEXT)  # whatever came before any invocation is on this one's bill
    telemetry._begin(CONTEXT)
    work()
    printed = len(capsys.readouterr().out)
    names = len(telemetry.metrics().metric_set)
    telemetry._finish(DURATION_MS, None, 1769, 0.0)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    costs = {
        name.removesuffix("CostUSD"): told[name][0]
        for name in told
        if name.endswith("CostUSD") and name != "EstimatedCostUSD"
    }
    # START, END, REPORT take 400 bytes; a metric 60, and four names of the line itself
    logs = (printed + 400 + 60 * (names + 4)) / 1024**3 * LOG_GB
    return costs, told["EstimatedCostUSD"][0], logs


def by_hand(logs_usd: float, **others: float) -> dict[str, float]:
    """An invocation's fixed parts, and others by name."""
    duration = BILLED_MS / 1000 * 1769 / 1024 * GB_S
    return {"LambdaRequests": REQUEST, "LambdaDuration": duration, "Logs": logs_usd, **others}


@pytest.fixture
def features(runtime: Runtime) -> Runtime:
    return replace(runtime, dynamodb=DynamoDB(Wire(), telemetry.meter))


def test_a_batch_of_events_costs_what_its_records_keys_and_items_come_to(
    features: Runtime, items: Callable[[], dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    batch = [
        event("e1", "c1", "s1", note="n" * 1000),  # c1's item holds both notes: more than 2 KB, less than 3
        event("e2", "c1", "s2", note="m" * 1000),
        event("e3", "c2", "s1", junk="j" * 30_000),  # a record above 25 KB; the junk is not kept
        b"no event",  # to quarantine: one PUT
    ]
    work = kinesis_event(batch, NOW_MS)
    costs, total, logs = metered(lambda: apply_batch(work, features, a_minute), capsys)
    sizes = {key: _bytes(item) for key, item in items().items()}
    assert 2_048 < sizes["card#c1"] <= 3_072
    assert max(size for key, size in sizes.items() if key != "card#c1") <= 1_024
    expected = by_hand(
        logs,
        KinesisPut=(1 + 1 + 2 + 1) * PUT_UNIT,
        DynamoDbRead=(2 + 2 + 1) * READ,  # cards, shops, the cut-over mark: absent ones cost a unit too
        DynamoDbWrite=(3 + 1 + 1 + 1) * WRITE,  # c1, c2, s1, s2
        S3Put=S3_PUT,
    )
    assert sorted(costs) == sorted(expected)
    assert costs == pytest.approx(expected)
    assert total == pytest.approx(sum(expected.values()))


def test_a_batch_delivered_again_pays_for_reading_and_writes_nothing(
    features: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    work = kinesis_event([event("e1", "c1", "s1"), event("e2", "c2", "s1")], NOW_MS, first=FIRST_SEQUENCE)
    apply_batch(work, features, a_minute)
    costs, total, logs = metered(lambda: apply_batch(work, features, a_minute), capsys)
    expected = by_hand(logs, KinesisPut=2 * PUT_UNIT, DynamoDbRead=(2 + 1 + 1) * READ)
    assert sorted(costs) == sorted(expected)
    assert costs == pytest.approx(expected)
    assert total == pytest.approx(sum(expected.values()))


@pytest.fixture
def scoring(
    emulator: Emulator, client: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ScoringStack]:
    with scoring_stack(emulator, client, tmp_path, monkeypatch) as made:
        yield made


def test_a_batch_of_rows_costs_its_decisions_labels_and_alerts(
    scoring: ScoringStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scoring.promote(tmp_path / "bundle")
    wiring = scoring.wired()
    deliver(wiring, record(1, [row("first")]))  # reads pointers and bundle
    work = record(
        2,
        [row("blocked", 900.0), row("passed", 1.0), row("long", 1.0, shop="s" * 1_000)],
        [label("first")],
    )
    costs, total, logs = metered(lambda: deliver(wiring, work), capsys)
    sizes = {item["pk"]["S"]: _bytes(item) for item in scoring.items()}
    assert 1_024 < sizes.pop("long") <= 2_048
    assert max(sizes.values()) <= 1_024
    expected = by_hand(
        logs,
        DynamoDbWrite=(1 + 1 + 2 + 1) * WRITE,  # three decisions, and a label on an earlier one
        DynamoDbRead=1 * READ,  # the label's decision
        EventBridge=1 * BUS_EVENT,
    )
    assert sorted(costs) == sorted(expected)
    assert costs == pytest.approx(expected)
    assert total == pytest.approx(sum(expected.values()))


def test_what_the_bus_does_not_take_costs_a_request_for_each_message_and_look(
    scoring: ScoringStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scoring.promote(tmp_path / "bundle")
    wiring = scoring.wired()
    deliver(wiring, record(1, [row("first")]))
    capsys.readouterr()
    queue = wiring.publisher._queue
    costs, *_ = metered(lambda: queue.keep(["a" * 70_000, "b"], lambda: 1_000), capsys)
    assert costs["Sqs"] == pytest.approx(2 * QUEUE_REQUEST)  # one message of above 64 KB
    costs, *_ = metered(lambda: [queue.take_out(one) for one in queue.read()], capsys)
    assert costs["Sqs"] == pytest.approx((2 + 1) * QUEUE_REQUEST)
    costs, *_ = metered(queue.read, capsys)
    assert costs["Sqs"] == pytest.approx(QUEUE_REQUEST)  # an empty answer is one too


def _bytes(value: Any) -> int:
    """An item's bytes as DynamoDB counts them, without the code under test: names and contents; two digits of
    a number are a byte, and one more; three bytes a list or map, one an element.
    """
    if not isinstance(next(iter(value.values())), dict):
        [(kind, content)] = value.items()
        if kind == "N":
            return -(-len(content.strip("-").replace(".", "")) // 2) + 1
        if kind == "L":
            return 3 + sum(1 + _bytes(one) for one in content)
        return 1 if kind in {"BOOL", "NULL"} else len(content)
    if set(value) == {"M"}:
        inner = value["M"]
        return 3 + sum(1 + len(name) + _bytes(one) for name, one in inner.items())
    return sum(len(name) + _bytes(one) for name, one in value.items())
