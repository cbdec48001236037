"""A policy by command on the local stack: published, forced and taken back while decisions go on."""

import functools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from common.errors import InvalidInputError, ModelRefusedError
from common.settings import Settings, code_root
from scoring.pointers import POLICY, policy_key
from scoring.policy_file import parse
from scoring.wiring import Wiring, wire
from stream_features.state import Row
from streamscore.local.stack import Stack
from streamscore.training import pointers
from tests.integration.commands import invoke
from tests.integration.scoring_stack import NOW_MS, deliver, record

Run = Callable[..., Result]
LARGE = """
[lists.watched]
values = ["c1"]
[[rule]]
name = "large"
decision = "review"
all = [{ field = "amount", above = 100 }]
[[rule]]
name = "watched"
decision = "block"
override = true
any = [{ entity = "customer", in = "watched" }]
"""


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command on the local stack; the policy's pointer is gone afterwards."""
    monkeypatch.chdir(stack.state_dir.parent)
    yield invoke
    name = f"{stack.outputs['PointerPrefix']}/policy"
    stack.client("ssm").put_parameter(Name=name, Value="{}", Type="String", Overwrite=True)
    stack.client("ssm").delete_parameter(Name=name)


@dataclass
class Scoring:
    """One process of the scoring function on the stack's tables; a minute passes when we say so."""

    stack: Stack
    wiring: Wiring

    def decide(self, amount: float, customer: str = "c2") -> dict[str, Any]:
        """What becomes of an event now."""
        self.wiring.serving.expire()
        id_, names = uuid.uuid4().hex, self.wiring.spec.feature_names
        vector = np.zeros(len(names), "<f4").tobytes()
        row = Row(id_, NOW_MS, NOW_MS, None, (customer, "t1"), (round(amount * 100),), vector)
        assert deliver(self.wiring, record(1, [row], spec_sha=self.wiring.spec.sha256)) == []
        table = self.stack.outputs["DecisionsTableName"]
        item = self.stack.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": id_}})["Item"]
        rules = [name["S"] for name in item.get("rules", {"L": []})["L"]]
        return {"decision": item["decision"]["S"], "rules": rules, "policy": item["policy"]["S"]}


@pytest.fixture
def scoring(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Scoring:
    for name, value in {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    function = stack.outputs["ScoringFunctionName"]
    configuration = stack.client("lambda").get_function_configuration(FunctionName=function)
    environ = configuration["Environment"]["Variables"]
    return Scoring(stack, wire(Settings.from_environ(environ), code_root()))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "mine.toml") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_published_it_decides_without_a_restart_and_rolled_back_it_does_not(
    run: Run, scoring: Scoring, written: Callable[[str], Path]
) -> None:
    ships = scoring.decide(200)
    assert (ships["decision"], ships["rules"]) == ("approve", [])
    shown = run("policy", "publish", written(LARGE), "--reason", "large ones")
    assert "+ rule large: review if amount above 100" in shown.stdout.splitlines()
    version = parse(LARGE).version
    assert scoring.decide(200) == {"decision": "review", "rules": ["large"], "policy": version}
    run("policy", "publish", written(LARGE.replace("above = 100", "above = 300")))
    assert scoring.decide(200)["decision"] == "approve"
    back = run("policy", "rollback")
    assert "~ rule large: review if amount above 300 → review if amount above 100" in back.stdout
    assert scoring.decide(200) == {"decision": "review", "rules": ["large"], "policy": version}


def test_the_policy_that_ships_lies_where_backtests_find_it_and_no_pointer_names_it(
    run: Run, stack: Stack, scoring: Scoring
) -> None:
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    key = policy_key(scoring.decide(1)["policy"])
    s3.get_object(Bucket=bucket, Key=key)  # as the stack came up
    s3.delete_object(Bucket=bucket, Key=key)
    assert f"{key} is published" in run("publish").stderr
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == (code_root() / "policy.toml").read_bytes()
    assert pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"], POLICY) is None


def test_the_first_published_rolled_back_the_one_that_ships_decides(
    run: Run, scoring: Scoring, written: Callable[[str], Path]
) -> None:
    ships = scoring.decide(200)["policy"]
    run("policy", "publish", written(LARGE))
    assert scoring.decide(200)["policy"] == parse(LARGE).version
    assert "the one that ships" in run("policy", "rollback").stderr
    assert scoring.decide(200)["policy"] == ships
    assert json.loads(run("policy", "show", "--json").stdout)["ships"]
    assert isinstance(run("policy", "rollback").exception, InvalidInputError)
    assert scoring.decide(200)["policy"] == ships


def test_forced_every_decision_is_that_until_rolled_back(
    run: Run, scoring: Scoring, written: Callable[[str], Path]
) -> None:
    run("policy", "publish", written(LARGE))
    assert scoring.decide(200, "c1")["decision"] == "block"
    assert "~ force: none → approve" in run("policy", "force", "approve").stdout
    found = scoring.decide(200, "c1")
    assert (found["decision"], found["rules"]) == ("approve", ["force", "large", "watched"])
    run("policy", "force", "review", "--reason", "after all")
    assert scoring.decide(1)["decision"] == "review"
    shown = json.loads(run("policy", "show", "--json").stdout)
    assert (shown["force"], shown["reason"]) == ("review", "after all")
    assert "every decision is forced: review" in run("policy", "show").stderr
    run("policy", "rollback")
    assert scoring.decide(200, "c1") == {
        "decision": "block", "rules": ["large", "watched"], "policy": parse(LARGE).version,
    }  # fmt: skip


def test_force_works_whatever_is_wrong_with_the_policy_in_use(
    run: Run, stack: Stack, scoring: Scoring, written: Callable[[str], Path]
) -> None:
    run("policy", "publish", written(LARGE))
    bucket, key = stack.outputs["DataBucketName"], policy_key(parse(LARGE).version)
    stack.client("s3").put_object(Bucket=bucket, Key=key, Body=b"fallback =")
    run("policy", "force", "review")
    assert scoring.decide(1)["decision"] == "review"
    stack.client("s3").delete_object(Bucket=bucket, Key=key)
    name = f"{stack.outputs['PointerPrefix']}/policy"
    stack.client("ssm").put_parameter(Name=name, Value="latest", Type="String", Overwrite=True)
    run("policy", "force", "approve")
    assert scoring.decide(1)["rules"] == ["force"]


def test_what_is_no_policy_for_the_spec_is_not_published(
    run: Run, stack: Stack, written: Callable[[str], Path]
) -> None:
    wrong = written(
        '[[rule]]\nname = "r"\ndecision = "block"\nall = [\n  { feature = "amonut", above = 1 },\n]'
    )
    for command in ("check", "publish"):
        error = run("policy", command, wrong).exception
        assert isinstance(error, InvalidInputError)
        assert f"{wrong}:5: rule 'r': the spec has no feature 'amonut'; did you mean 'amount'" in str(error)
    assert pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"], POLICY) is None
    assert isinstance(run("policy", "publish", "nowhere.toml").exception, InvalidInputError)
    assert isinstance(run("policy", "rollback").exception, InvalidInputError)


def test_what_is_published_is_never_overwritten(
    run: Run, stack: Stack, written: Callable[[str], Path]
) -> None:
    bucket, key = stack.outputs["DataBucketName"], policy_key(parse('fallback = "block"').version)
    stack.client("s3").put_object(Bucket=bucket, Key=key, Body=b"other")
    assert isinstance(run("policy", "publish", written('fallback = "block"')).exception, ModelRefusedError)
    stack.client("s3").delete_object(Bucket=bucket, Key=key)


def test_a_bad_policy_is_refused_and_the_running_one_stays(
    run: Run, stack: Stack, scoring: Scoring, written: Callable[[str], Path]
) -> None:
    run("policy", "publish", written(LARGE))
    good = scoring.decide(200)
    other = LARGE.replace("100", "999")
    run("policy", "publish", written(other))
    bucket, key = stack.outputs["DataBucketName"], policy_key(parse(other).version)
    put = functools.partial(stack.client("s3").put_object, Bucket=bucket, Key=key)
    put(Body=other.encode() + b"\n")
    assert scoring.decide(200) == good
    put(Body=other.encode())
    assert scoring.decide(200)["policy"] == parse(other).version


def test_check_and_show_print_what_it_says(run: Run, written: Callable[[str], Path]) -> None:
    text = (
        LARGE.replace('["c1"]', '["c1", { value = "c2", until = 2020-01-01 }]')
        + "[lists.idle]\nvalues = []\n"
    )
    checked = run("policy", "check", written(text))
    assert "rule watched: block if customer in watched (override)" in checked.stdout.splitlines()
    assert "1 of 2 values of list watched have expired" in checked.stderr
    assert "no rule uses list idle" in checked.stderr
    as_json = json.loads(run("policy", "check", written(text), "--json").stdout)
    assert as_json["version"] == parse(text).version
    run("policy", "publish", written(text))
    assert run("policy", "show").stdout == text
