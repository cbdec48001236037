"""What a decorated handler prints and accounts for."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools import Metrics

from common import metrics as table
from common import pricing, telemetry
from common.meter import Meter

CONTEXT = SimpleNamespace(memory_limit_in_mb="1024", aws_request_id="r-1")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "scoring")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "streamscore")
    monkeypatch.setenv("STAGE", "dev")
    _forget()
    yield
    _forget()


def _forget() -> None:
    for made in (telemetry.logger, telemetry.metrics):
        made.cache_clear()
    for shared in (Metrics._metrics, Metrics._metadata, Metrics._dimensions, Metrics._default_dimensions):
        shared.clear()  # Powertools keeps them for the process, whatever its instances


def emitted(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    document: dict[str, Any] = json.loads(line)
    return document


def test_metrics_carry_service_and_stage_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.count("DecisionsMade", 3)
        telemetry.note(model_version="abc")

    for _ in range(2):  # the second invocation must not inherit or lose anything
        handler({}, CONTEXT)
        document = emitted(capsys)
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert [sorted(names) for names in directive["Dimensions"]] == [["service", "stage"]]
        assert (document["service"], document["stage"], document["model_version"]) == (
            "scoring",
            "dev",
            "abc",
        )
        assert document["DecisionsMade"] == [3.0]
        assert directive["Namespace"] == "streamscore"


def test_what_was_counted_before_an_invocation_is_not_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.count("DecisionsMade")

    telemetry.count("DecisionsMade", 7)
    telemetry.meter().dynamodb_write_units(7)
    handler({}, CONTEXT)
    document = emitted(capsys)
    assert document["DecisionsMade"] == [1.0]
    assert "DynamoDbWriteCostUSD" not in document
    assert "WastedCostUSD" not in document


def test_the_cost_is_the_meters_usage_by_list_price(capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        meter = telemetry.meter()
        meter.dynamodb_write({"ConsumedCapacity": [{"CapacityUnits": 25.0}, {"CapacityUnits": 15.0}]})
        meter.dynamodb_read({"ConsumedCapacity": {"CapacityUnits": 8.0}})
        meter.eventbridge([100, 70_000])
        meter.kinesis_records([500, 1500])
        meter.s3_put()

    handler({}, CONTEXT)
    document = emitted(capsys)
    assert document["DynamoDbWriteCostUSD"] == pytest.approx([40 * 0.625e-6])
    assert document["DynamoDbReadCostUSD"] == pytest.approx([8 * 0.125e-6])
    assert document["EventBridgeCostUSD"] == pytest.approx([3e-6])
    assert document["KinesisPutCostUSD"] == pytest.approx([2 * 0.014e-6])
    assert document["S3PutCostUSD"] == pytest.approx([5e-6])
    parts = [document[f"{part}CostUSD"][0] for part in pricing.COMPONENTS if f"{part}CostUSD" in document]
    assert document["EstimatedCostUSD"] == pytest.approx([sum(parts)])


def test_an_on_demand_stream_is_billed_by_kilobytes_instead(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.meter().kinesis_records([500, 1500])

    monkeypatch.setenv("STREAM_MODE", "ON_DEMAND")
    handler({}, CONTEXT)
    document = emitted(capsys)
    assert document["KinesisInCostUSD"] == pytest.approx([3 * 0.08 / 1024**2])
    assert document["KinesisOutCostUSD"] == pytest.approx([2000 / 1024 * 0.04 / 1024**2])
    assert "KinesisPutCostUSD" not in document


def test_units_that_no_answer_named_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.meter().dynamodb_write({}, items=[1025, 10])
        telemetry.meter().dynamodb_write({"ConsumedCapacity": {"CapacityUnits": 9.0}})
        telemetry.meter().dynamodb_read({"Responses": {}}, asked=2)

    handler({}, CONTEXT)
    assert emitted(capsys)["CapacityUnitsEstimated"] == [3.0 + 2.0]


@pytest.mark.parametrize(
    ("failed", "share"),
    [((), 0.0), (("s3",), 0.25), (("s2", "s1"), 0.75), (("",), 1.0), (("elsewhere",), 1.0)],
)
def test_what_a_partial_reply_has_repeated_is_waste_in_proportion(
    failed: tuple[str, ...], share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": sequence} for sequence in failed]}

    for kind, name in (("kinesis", "sequenceNumber"), ("dynamodb", "SequenceNumber")):
        handler({"Records": [{kind: {name: f"s{n}"}} for n in range(4)]}, CONTEXT)
        document = emitted(capsys)
        assert "InvocationsFailed" not in document
        wasted = document.get("WastedCostUSD", [0.0])[0]
        assert wasted == pytest.approx(share * document["EstimatedCostUSD"][0])


def test_the_first_invocation_alone_bills_the_start_of_the_process(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        pass

    handler({}, CONTEXT)
    cold = emitted(capsys)
    handler({}, CONTEXT)
    warm = emitted(capsys)
    assert cold["ColdStarts"] == [1.0]
    assert cold["InitDuration"][0] > 0
    assert "ColdStarts" not in warm
    assert cold["LambdaDurationCostUSD"][0] > warm["LambdaDurationCostUSD"][0]


def test_what_init_used_is_on_the_first_invocations_bill_and_on_no_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Meter()
    monkeypatch.setattr(telemetry, "_of_init", before)
    monkeypatch.setattr(telemetry, "_current", before)
    telemetry.meter().s3_get(3)  # the bundle, the spec, the policy

    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.meter().s3_get()

    handler({}, CONTEXT)
    assert emitted(capsys)["S3GetCostUSD"] == [pytest.approx(4 * 0.4e-6)]
    handler({}, CONTEXT)
    assert emitted(capsys)["S3GetCostUSD"] == [pytest.approx(0.4e-6)]


def test_an_invocation_that_raises_is_metered_as_waste(capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.meter().dynamodb_write_units(7)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        handler({}, CONTEXT)
    document = emitted(capsys)
    assert document["InvocationsFailed"] == [1.0]
    assert document["WastedCostUSD"] == document["EstimatedCostUSD"]
    assert document["DynamoDbWriteCostUSD"] == pytest.approx([7 * 0.625e-6])


def test_many_values_are_all_printed_a_hundred_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.measure("DecisionLatency", [*range(250), float("nan")])
        telemetry.measure("ScorePsi", 0.0)

    handler({}, CONTEXT)
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    values = [document["DecisionLatency"] for document in documents if "DecisionLatency" in document]
    assert [len(some) for some in values] == [100, 100, 50]
    assert [value for some in values for value in some] == list(range(250))
    assert all(
        document["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service", "stage"]]
        for document in documents
    )
    assert documents[-1]["ScorePsi"] == [0.0]


def test_a_metric_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(KeyError):
        telemetry.count("SomethingElse")


def test_logs_are_json_on_standard_output_and_on_the_bill(capsys: pytest.CaptureFixture[str]) -> None:
    log_kb: list[float] = []

    @telemetry.observed
    def handler(event: dict[str, Any], context: Any) -> None:
        telemetry.logger().info("batch applied", extra={"rows": 500})
        log_kb.append(telemetry.meter().usage.log_kb)

    handler({}, CONTEXT)
    line, *_ = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert (record["message"], record["service"], record["stage"], record["request_id"]) == (
        "batch applied",
        "scoring",
        "dev",
        "r-1",
    )
    assert log_kb[0] * 1024 >= len(line)


def test_a_read_without_consumed_capacity_is_metered_by_what_it_returned() -> None:
    meter = Meter()
    big = {"pk": {"S": "x"}, "s": {"B": b"0" * 5000}}
    small = {"pk": {"S": "y"}}
    meter.dynamodb_read({"Responses": {"state": [big, small]}}, asked=4)
    assert meter.usage.dynamodb_read_units == 2 + 1 + 2 * 1
    meter.dynamodb_read({"Items": [small] * 3}, consistent=False)
    assert meter.usage.dynamodb_read_units == 5.5


def test_neither_the_tracer_nor_botocore_is_imported_by_telemetry() -> None:
    code = "import sys, common.telemetry; sys.exit(any(m in sys.modules for m in sys.argv[1:]))"
    heavy = ["aws_xray_sdk", "botocore.session", "boto3", "numpy"]
    assert subprocess.run([sys.executable, "-c", code, *heavy], check=False).returncode == 0


def test_the_metrics_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == table.to_markdown()


def test_every_field_of_usage_has_a_price_and_every_price_a_source() -> None:
    assert set(pricing.METERED) == set(pricing.Usage.__slots__)
    assert all(price.source and price.usd > 0 for price in pricing.PRICES.values())


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "héllo"}, 6),
        ({"N": "123"}, 3),
        ({"N": "-1.50"}, 3),
        ({"N": "100000"}, 2),
        ({"B": b"12345"}, 5),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 1 + 2 + 1 + 2),
        ({"M": {"k": {"S": "ab"}}}, 3 + 1 + 1 + 2),
    ],
)
def test_attribute_sizes_follow_aws_rules(value: dict[str, Any], size: int) -> None:
    assert pricing.item_bytes({"a": value}) == 1 + size


def test_every_metric_of_the_table_is_emitted_somewhere() -> None:
    sources = (Path(__file__).parents[2] / "src").rglob("*.py")
    code = "".join(path.read_text(encoding="utf-8") for path in sources if path.name != "metrics.py")
    unused = [m.name for m in table.METRICS if f'"{m.name}"' not in code and not m.name.endswith("CostUSD")]
    assert unused == []


def test_the_table_names_exactly_the_metrics_that_the_template_watches() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text(encoding="utf-8")
    watched = set(re.findall(r"MetricName: *(\w+)", template)) & table.BY_NAME.keys()
    assert {metric.name for metric in table.METRICS if metric.alarm} == watched
