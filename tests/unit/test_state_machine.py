"""statemachines/retrain.asl.yaml: cfn-lint takes it, every state can fail in order, and every name exists."""

import json
import re
from typing import Any

import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from monitor.steps import STEPS
from streamscore.retraining.container import STATES, TRAIN
from streamscore.retraining.following import FOUND
from tests.unit.transformed_template import ROOT, source

TEXT = (ROOT / "statemachines/retrain.asl.yaml").read_text(encoding="utf-8")
MACHINE: dict[str, Any] = yaml.safe_load(TEXT)
TASKS = {name: state for name, state in MACHINE["States"].items() if state["Type"] == "Task"}
JOBS = {name: task for name, task in TASKS.items() if ":sagemaker:" in task["Resource"]}
SMALL = {name: task for name, task in TASKS.items() if ":lambda:" in task["Resource"]}
ENDS = {"End", "EndFailed"}


def nexts(state: dict[str, Any]) -> set[str]:
    rules = [*state.get("Choices", ()), *state.get("Catch", ())]
    found = {state.get("Next"), state.get("Default"), *(rule["Next"] for rule in rules)}
    return {name for name in found if name}


def test_the_linter_finds_nothing() -> None:
    """cfn-lint holds a definition against Step Functions' schema where it is inline."""
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/machine",
            "Definition": MACHINE,
            "DefinitionSubstitutions": substitutions(),
        },
    }
    template = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": machine}})
    assert lint(template, config=ManualArgs(regions=["us-east-1"])) == []
    broken = template.replace('"Type": "Wait"', '"Type": "Rest"')
    assert lint(broken, config=ManualArgs(regions=["us-east-1"])), "it would find something"


def substitutions() -> dict[str, str]:
    declared = source()["Resources"]["RetrainMachine"]["Properties"]["DefinitionSubstitutions"]
    return dict.fromkeys(declared, "x")


def test_every_placeholder_is_filled_by_the_template_and_none_is_left_over() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(substitutions())


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_a_time_limit_is_tried_again_and_fails_in_order(name: str) -> None:
    task = TASKS[name]
    assert task["TimeoutSeconds"] > 0
    for retry in task["Retry"]:
        assert retry["MaxAttempts"] <= 4
        assert "States.ALL" not in retry["ErrorEquals"], "a bug is not tried again"
    *_, last = task["Catch"]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["Next"] == ("Failed" if name in ENDS else "EndFailed")
    if name not in ENDS:
        assert last["Assign"]["outcome"] == "failed"
        assert "$states.context.State.Name" in last["Assign"]["text"], "it says where"


def test_every_way_leads_to_an_end_and_every_state_is_on_one() -> None:
    states = MACHINE["States"]
    reached, todo = set[str](), {MACHINE["StartAt"]}
    while todo:
        name = todo.pop()
        reached.add(name)
        todo |= nexts(states[name]) - reached
    assert reached == set(states)
    ends = {name for name, state in states.items() if state["Type"] in {"Succeed", "Fail"}}
    assert {name for name in states if not nexts(states[name])} == ends == {"Done", "Failed"}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_step_is_one_that_the_function_does(name: str) -> None:
    payload = SMALL[name]["Arguments"]["Payload"]
    assert payload["step"] in STEPS
    assert payload["run"] == "{% $run %}"


def test_every_step_of_the_function_is_asked_for() -> None:
    assert {task["Arguments"]["Payload"]["step"] for task in SMALL.values()} == set(STEPS)


def test_a_job_is_one_that_the_image_does_is_named_after_the_run_and_encrypted() -> None:
    assert set(JOBS) == {*STATES, "Train"}
    for name, job in JOBS.items():
        arguments = job["Arguments"]
        kind = "Training" if name == "Train" else "Processing"
        assert arguments[f"{kind}JobName"].startswith("{% $run & '-")
        cluster = arguments.get("ResourceConfig") or arguments["ProcessingResources"]["ClusterConfig"]
        assert cluster["VolumeKmsKeyId"] == "${Key}"
        assert job["Resource"].endswith(".sync")
    train = JOBS["Train"]["Arguments"]
    assert train["EnableNetworkIsolation"] is True
    assert train["OutputDataConfig"]["KmsKeyId"] == "${Key}"
    assert f"['{TRAIN}', " in train["AlgorithmSpecification"]["ContainerArguments"]


def test_what_a_job_found_is_read_and_shown() -> None:
    read = {t["Arguments"]["Payload"].get("of") for t in SMALL.values()} - {None}
    assert read == set(STATES) == set(FOUND)


def test_the_first_champion_is_not_compared_and_a_person_is_asked_where_the_plan_says_so() -> None:
    good = MACHINE["States"]["IsItGood"]["Choices"]
    assert [(rule["Condition"], rule["Next"]) for rule in good] == [
        ("{% $not($model.held) %}", "End"),
        ("{% $plan.champion = '' %}", "WhoDecides"),
    ]
    assert MACHINE["States"]["WhoDecides"]["Choices"][0]["Next"] == "AskAPerson"
    assert TASKS["AskAPerson"]["Resource"].endswith(".waitForTaskToken")
    assert TASKS["AskAPerson"]["Catch"][0]["ErrorEquals"] == ["States.Timeout", "Refused"]
