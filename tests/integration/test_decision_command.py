"""`streamscore decision` on items as scoring writes them; `streamscore publish`, which names their parts."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from scoring.items import number
from stream_features.spec import from_json
from streamscore.cli import decision, publish
from streamscore.local.emulator import Emulator
from tests import small_model
from tests.integration.scoring_stack import (
    NOW_MS,
    ScoringStack,
    deliver,
    label,
    record,
    row,
    scoring_stack,
)

TRACE = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"


@pytest.fixture
def stack(
    emulator: Emulator, client: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ScoringStack]:
    """Scoring's part of a stack, deployed as streamscore-told."""
    with scoring_stack(emulator, client, tmp_path, monkeypatch) as made:
        outputs = {
            "DecisionsTableName": made.settings.decisions_table,
            "DataBucketName": made.settings.data_bucket,
        }
        template = {
            "Resources": {
                "One": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "1"}}
            },
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        client("cloudformation").create_stack(StackName="streamscore-told", TemplateBody=json.dumps(template))
        yield made
        client("cloudformation").delete_stack(StackName="streamscore-told")


def run(command: Any, *arguments: str) -> Any:
    return CliRunner().invoke(command, [*arguments, "--stage", "told"], catch_exceptions=False)


def told(id_: str) -> list[str]:
    return [line.rstrip() for line in run(decision.command, id_).stdout.splitlines()]


def published(stack: ScoringStack) -> list[str]:
    found = stack.client("s3").list_objects_v2(Bucket=stack.settings.data_bucket, Prefix="specs/")
    return [entry["Key"] for entry in found.get("Contents", ())]


def test_a_decision_is_told_as_a_person_reads_it(stack: ScoringStack, tmp_path: Path) -> None:
    version = stack.promote(tmp_path / "bundle")
    run(publish.command, "--spec", str(stack.code / "features.toml"))
    deliver(stack.wired(), record(1, [msgspec.structs.replace(row("a", 6000.5), trace=TRACE)], [label("a")]))
    lines = told("a")
    item = stack.items()[0]

    def of(name: str) -> list[str]:
        return [line[12:] for line in lines if line.startswith(f"{name} ")]

    assert of("event") == ["a of card c1 at 2026-09-21 14:13:15.000 UTC"]
    assert of("field") == ["amount 6000.50", "shop books"]
    score = f"{float(item['score']['N']):.6g}"
    assert of("decision") == [f"block, score {score}"]
    assert of("reason")[0].startswith("amount is 6000.50, usually ")
    assert of("reason")[0].endswith(" log-odds")
    assert of("rule") == ["huge"]
    assert of("model") == [version]
    assert of("policy") == [item["policy"]["S"]]
    assert of("arrived") == ["2026-09-21 14:13:19.700 UTC"]
    assert of("decided")[0].endswith(f", {item['latency_ms']['N']} ms after it arrived, on the stream")
    assert of("trace") == [f"{TRACE} (X-Ray 1-5759e988-bd862e3fe1be46a994272793)"]
    assert of("label") == ["positive, known 2026-09-21 14:13:20.000 UTC, 5s after the event"]
    assert of("features") == [f"4, of spec {small_model.spec().sha256[:16]}"]
    assert lines[-4:] == [
        "  amount         6000.5",
        "  card_count_1d  2",
        "  card_count_7d  5",
        "  card_mean_1d   30",
    ]


def test_json_holds_the_same_with_every_digit_of_a_decimal(stack: ScoringStack) -> None:
    run(publish.command, "--spec", str(stack.code / "features.toml"))
    deliver(stack.wired(), record(1, [row("a", 12.5, float("nan"))]))
    text = run(decision.command, "a", "--json").stdout
    found = json.loads(text)
    assert '"amount":12.50' in text.replace(" ", "")
    assert found["kept"] == {"amount": 12.5, "shop": "books"}
    assert found["features"] == {"amount": 12.5, "card_count_1d": 2, "card_count_7d": 5, "card_mean_1d": None}
    assert (found["id"], found["decision"], found["reasons"]) == ("a", "approve", ["no_model"])
    assert not {"pk", "ttl"} & found.keys()


def test_what_only_some_decisions_have_is_told_where_it_is(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row("a")]))
    reason = {"feature": {"S": "amount"}, "text": {"S": "too much"}, "contribution": {"N": "1"}}
    more = {
        "score": {"N": "0.25"},
        "second_path_score": {"N": "0.375"},
        "challenger": {"M": {"model": {"S": "ab12"}, "score": {"N": "0.5"}, "decision": {"S": "block"}}},
        "propensity": {"N": "0.05"},
        "entities": {"M": {"terminal": {"S": "t9"}}},
        "rules": {"L": [{"S": "control"}, {"S": "shadow:new"}]},
        "reasons": {"L": [{"M": reason}]},
        "cut": {"L": [{"S": "kept"}]},
        "label": {"BOOL": False},
        "label_time": number(NOW_MS),
    }
    stack.client("dynamodb").put_item(
        TableName=stack.settings.decisions_table, Item={**stack.items()[0], **more}
    )
    lines = told("a")
    for line in (
        "with        terminal t9",
        "reason      too much: +1 log-odds",
        "rule        control",
        "rule        new (in shadow: it decided nothing)",
        "chance      0.05 that it would be decided so: a control share had a say",
        "cut         too large to store whole: kept",
        "challenger  ab12 would have said block, score 0.5",
        "other path  HTTP gave score 0.375: +0.125",
        "label       negative, known 2026-09-21 14:13:20.000 UTC, 5s after the event",
    ):
        assert line in lines


def test_what_a_terminal_would_obey_is_shown_and_not_sent(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row("a", shop="\x1b[2J\nbooks\u202e")]))
    assert "field       shop \\x1b[2J\\nbooks\\u202e" in told("a")


def test_a_stub_says_that_there_is_a_label_and_no_decision(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [], [label("a")]))
    assert told("a") == [
        "event       a of c1 at 2026-09-21 14:13:15.000 UTC",
        "decision    none yet: its label came first",
        "label       positive, known 2026-09-21 14:13:20.000 UTC, 5s after the event",
    ]


def test_a_vector_whose_spec_is_not_published_is_told_without_names(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row("a", 12.5)]))
    assert published(stack) == []
    lines = told("a")
    assert lines[0].startswith("event       a of c1 at ")
    sha = small_model.spec().sha256[:16]
    assert lines[-1] == f"features    4 values, without names: spec {sha} is not published"
    assert "field       amount 12.5" in lines


def test_an_id_without_a_decision_is_one_line(stack: ScoringStack) -> None:
    with pytest.raises(InvalidInputError, match=r"^streamscore-told: there is no decision about 'nobody'$"):
        run(decision.command, "nobody")


def test_publishing_a_spec_again_changes_nothing(stack: ScoringStack) -> None:
    spec = small_model.spec()
    for _ in range(2):
        run(publish.command, "--spec", str(stack.code / "features.toml"))
    assert published(stack) == [f"specs/{spec.sha256}.json"]
    body = stack.client("s3").get_object(Bucket=stack.settings.data_bucket, Key=published(stack)[0])["Body"]
    assert from_json(body.read()) == spec


def test_before_a_first_deployment_there_is_nothing_to_publish_to(stack: ScoringStack) -> None:
    spec = str(stack.code / "features.toml")
    runner = CliRunner()
    quiet = runner.invoke(publish.command, ["--spec", spec, "--stage", "none", "--if-deployed"])
    assert (quiet.exit_code, "no stack streamscore-none is deployed" in quiet.stderr) == (0, True)
    with pytest.raises(InvalidInputError, match="no stack streamscore-none is deployed"):
        runner.invoke(publish.command, ["--spec", spec, "--stage", "none"], catch_exceptions=False)
