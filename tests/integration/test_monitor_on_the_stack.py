"""The monitor inside the real template: decisions written to the table come out of the commands."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streamscore.cli import cost, drift
from streamscore.cli import report as report_of
from streamscore.local import stack as stacks
from tests.integration.alarmed import call, emitted
from tests.monitored import amounts, images, publish
from tests.reported import data_of

COUNT, LABELLED = 600, 120
JUDGED = ("ScorePsi", "WorstFeaturePsi", "FeaturesDrifted", "ScoreDrifted", "RocAuc", "AveragePrecision")


@pytest.fixture(scope="module")
def version(stack: stacks.Stack) -> Iterator[str]:
    """A model whose decisions and labels went through the stack; its windows are closed."""
    version, pointer = publish(stack.client("s3"), stack.outputs["DataBucketName"])
    stack.client("ssm").put_parameter(
        Name=f"{stack.outputs['PointerPrefix']}/champion", Value=pointer, Type="String", Overwrite=True
    )
    dynamodb, table = stack.client("dynamodb"), stack.outputs["DecisionsTableName"]
    made = [_for_writing(image) for image in images(version, amounts(COUNT, 8))]
    for image in made:
        dynamodb.put_item(TableName=table, Item=image)
    for number, image in enumerate(made[:LABELLED]):
        positive = number % 3 == 0
        dynamodb.put_item(TableName=table, Item=image | {"label": {"BOOL": positive}})
    stack.start()
    stack.drain()
    yield version
    stack.stop()
    stack.client("ssm").delete_parameter(Name=f"{stack.outputs['PointerPrefix']}/champion")


@pytest.fixture(autouse=True)
def in_the_stacks_folder(stack: stacks.Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stack.state_dir.parent)


def _for_writing(image: dict[str, Any]) -> dict[str, Any]:
    """A client takes bytes where a stream event has base64."""
    return image | {"features": {"B": base64.b64decode(image["features"]["B"])}}


def run(command: Any, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_drift_counts_every_decision_and_label_of_the_stream(version: str) -> None:
    found = json.loads(run(drift.command, "--json"))
    champion = found["champion"]
    comparison = champion["whole"]["comparison"]
    assert (champion["model"], comparison["decided"]) == (version, COUNT)
    assert champion["arrived"]["labelled"] == LABELLED
    assert comparison["features"][0]["name"] == "amount"
    assert comparison["score"]["psi"] < 0.1
    assert f"{COUNT:,} decisions" in run(drift.command)


def test_the_hourly_function_reads_the_same_windows(stack: stacks.Stack, version: str) -> None:
    newest = json.loads(run(drift.command, "--json"))
    answer = stack.client("lambda").invoke(
        FunctionName=stack.outputs["MonitorScheduleFunctionName"],
        Payload=json.dumps({"since": newest["since"], "until": newest["until"]}),
    )
    found = json.load(answer["Payload"])
    assert found["model"] == version
    assert found["decided"] == newest["champion"]["whole"]["comparison"]["decided"]


def test_cloudwatch_drift_and_the_report_agree(stack: stacks.Stack, version: str, tmp_path: Path) -> None:
    """One stretch of time: what the schedule's function emits, what the command and the page's data say."""
    report = json.loads(run(report_of.command, "--json", "-o", str(tmp_path / "report.html")))
    page = data_of((tmp_path / "report.html").read_text("utf-8"))
    stretch = {name: report["drift"]["champion"]["whole"][name] for name in ("since", "until")}
    command = json.loads(
        run(drift.command, "--json", "--since", stretch["since"], "--until", stretch["until"])
    )
    sums, counts = emitted(stack, *JUDGED), emitted(stack, *JUDGED, statistic="SampleCount")
    call(stack, "MonitorSchedule", stretch)
    more = emitted(stack, *JUDGED, statistic="SampleCount")  # the stack's own schedule may look too
    cloudwatch = {
        name: (now - sums[name]) / (more[name] - counts[name])
        for name, now in emitted(stack, *JUDGED).items()
    }
    for looked in (command["champion"], report["drift"]["champion"], page["drift"]["champion"]):
        comparison, labels = looked["whole"]["comparison"], looked["performance"]["labels"]
        assert (looked["model"], comparison["decided"]) == (version, COUNT)
        assert cloudwatch == pytest.approx(
            {
                "ScorePsi": comparison["score"]["psi"],
                "WorstFeaturePsi": comparison["features"][0]["psi"],
                "FeaturesDrifted": 0,
                "ScoreDrifted": 0,
                "RocAuc": labels["roc_auc"]["value"],
                "AveragePrecision": labels["average_precision"]["value"],
            }
        )
        assert looked["verdict"]["findings"] == []
    assert cloudwatch["ScorePsi"] > 0
    assert 0 < cloudwatch["RocAuc"] < 1


def test_what_the_functions_metered_is_what_cost_reports(stack: stacks.Stack, version: str) -> None:
    found = json.loads(run(cost.command, "--json"))
    assert found["total_usd"] > 0
    assert found["by_service_usd"]["monitor"] > 0
    assert found["total_usd"] == pytest.approx(sum(found["by_component_usd"].values()))
    assert found["by_component_usd"]["LambdaDuration"] > 0
    assert "; prices of us-east-1, " in run(cost.command)
