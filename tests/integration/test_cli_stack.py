"""Commands act on the local stack, or on a deployed one only when told to."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from streamscore.cli import local, start, stop
from streamscore.cli._stack import target
from streamscore.local.emulator import CREDENTIALS, Emulator
from tests.conftest import client_of

TEMPLATE = {
    "Parameters": {
        "EventSources": {"Type": "String", "Default": "disabled"},
        "ShardCount": {"Type": "Number", "Default": 1},
    },
    "Resources": {
        "Polls": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": {"Ref": "EventSources"}},
        },
        "Shards": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Type": "String", "Value": {"Ref": "ShardCount"}},
        },
    },
    "Outputs": {"Polls": {"Value": {"Ref": "Polls"}}, "Shards": {"Value": {"Ref": "Shards"}}},
}


@pytest.fixture
def deployed(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A stack streamscore-<stage> in an account (here the emulator), with three shards."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": emulator.endpoint}.items():
        monkeypatch.setenv(name, value)
    stage: str = request.param
    formation = client_of(emulator.endpoint, "cloudformation")
    formation.create_stack(
        StackName=f"streamscore-{stage}",
        TemplateBody=json.dumps(TEMPLATE),
        Parameters=[{"ParameterKey": "ShardCount", "ParameterValue": "3"}],
    )
    request.addfinalizer(lambda: formation.delete_stack(StackName=f"streamscore-{stage}"))
    return stage


def run(command: Any, *arguments: str) -> Any:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def values(stack: Any) -> tuple[str, str]:
    ssm = stack.client("ssm")
    polls, shards = (
        ssm.get_parameter(Name=stack.outputs[key])["Parameter"]["Value"] for key in ("Polls", "Shards")
    )
    return polls, shards


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_start_and_stop_change_one_parameter_of_a_deployed_stack(deployed: str) -> None:
    stack = target(deployed)
    assert values(stack) == ("disabled", "3")
    for _ in range(2):  # starting what is started changes nothing
        run(start.command, "--stage", deployed)
        assert values(stack) == ("enabled", "3")
    run(stop.command, "--stage", deployed)
    assert values(stack) == ("disabled", "3")


@pytest.mark.parametrize("deployed", ["prod"], indirect=True)
def test_prod_needs_a_yes(deployed: str) -> None:
    with pytest.raises(InvalidInputError, match="--yes"):
        target(deployed)
    assert target(deployed, yes=True).name == "streamscore-prod"


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_without_a_stage_the_account_is_not_touched(deployed: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no local stack is up: run `streamscore local up`"):
        target(None, root=tmp_path)


@pytest.mark.parametrize("deployed", ["dev"], indirect=True)
def test_a_stage_that_is_not_deployed_is_told(deployed: str) -> None:
    with pytest.raises(InvalidInputError, match="no stack streamscore-test"):
        target("test")


def test_up_status_start_stop_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(local.command, "status").output == "no local stack is up\n"
    try:
        assert "up at http://127.0.0.1:" in run(local.command, "up", "--port", "0").output
        run(start.command)
        assert run(local.command, "status").output.count(": polling, 0 records") == 3
        run(stop.command)
        assert not any(
            m["polling"]
            for m in json.loads(run(local.command, "status", "--json").output)["mappings"].values()
        )
    finally:
        assert run(local.command, "down").output == "down\n"
    assert run(local.command, "down").output == "no local stack was up\n"
