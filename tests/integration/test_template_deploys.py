"""The real template, through the overlay, in the emulator's CloudFormation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamscore.local.overlay import PARAMETERS, localised
from streamscore.local.template import read_template

ROOT = Path(__file__).resolve().parents[2]


def test_the_template_deploys_with_every_output_but_the_http_url(client: Callable[[str], Any]) -> None:
    template = read_template(ROOT / "template.yaml")
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName="template-test",
        TemplateBody=json.dumps(localised(template, "http://127.0.0.1:9/")),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in PARAMETERS.items()],
    )
    stack = cloudformation.describe_stacks(StackName="template-test")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack.get("StackStatusReason")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert set(outputs) == set(template["Outputs"]) - {"HttpApiUrl"}
    assert all(outputs.values())


def test_the_emulators_own_poller_sees_no_enabled_mapping() -> None:
    local = localised(read_template(ROOT / "template.yaml"), "http://127.0.0.1:9/")
    for function in local["Resources"].values():
        for event in function["Properties"].get("Events", {}).values():
            assert event["Properties"]["Enabled"] is False, "a string or a parameter would count as true"
