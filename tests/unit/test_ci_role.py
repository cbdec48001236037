"""deploy/ci-role.yaml can make what the template asks for, and give away the roles that it makes."""

import json
from typing import Any

import pytest

from streamscore.local.template import read_template
from tests.unit.transformed_template import ROOT, source, transformed

RESOURCES = read_template(ROOT / "deploy/ci-role.yaml")["Resources"]
STACK = transformed(source(), ApiDeployment="Canary10Percent5Minutes")["Resources"]
SERVICES = {"apigatewayv2": "apigateway", "opensearchservice": "es", "stepfunctions": "states"}
"""Where IAM calls a service otherwise than CloudFormation does."""
POLICIES = ("MakeData", "MakeCompute", "MakeDeliveryAndTraining")


def statements(*names: str) -> list[dict[str, Any]]:
    return [s for name in names for s in RESOURCES[name]["Properties"]["PolicyDocument"]["Statement"]]


def actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def test_every_service_that_the_template_has_resources_of_may_be_asked_for_them() -> None:
    services = {one["Type"].split("::")[1].lower() for one in STACK.values()}
    asked = {action.partition(":")[0] for s in statements(*POLICIES) for action in actions(s)}
    assert {SERVICES.get(service, service) for service in services} <= asked


def test_every_role_of_the_template_may_be_given_to_the_service_that_takes_it() -> None:
    trusted = {
        one["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for one in STACK.values()
        if one["Type"] == "AWS::IAM::Role"
    }
    (given,) = (s for s in statements(*POLICIES) if "iam:PassRole" in actions(s))
    by_the_machine = {"sagemaker.amazonaws.com"}  # which passes the jobs' role on itself
    assert set(given["Condition"]["StringEquals"]["iam:PassedToService"]) == trusted - by_the_machine


def test_a_role_is_made_with_the_boundary_or_not_at_all() -> None:
    making = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}
    for statement in statements(*POLICIES):
        if making & set(actions(statement)):
            assert statement["Condition"]["StringEquals"] == {
                "iam:PermissionsBoundary": {"Ref": "PermissionsBoundaryArn"}
            }


def test_what_publish_writes_may_be_written() -> None:
    role = RESOURCES["DeployRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    (publish,) = (s for s in role if s["Sid"] == "PublishTheSpecAndPolicy")
    folders = {arn["Fn::Sub"].rsplit("/", 2)[1] for arn in publish["Resource"]}
    assert folders == {"specs", "policies"}


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_fits_what_iam_takes(name: str) -> None:
    document = json.dumps(RESOURCES[name]["Properties"]["PolicyDocument"], separators=(",", ":"))
    filled = document.replace('{"Fn::Sub":', "").replace("${AWS::Region}", "ap-southeast-2")
    filled = filled.replace("${AWS::AccountId}", "123456789012").replace("${AWS::Partition}", "aws-us-gov")
    assert len(filled.replace("${StackName}", "streamscore-prod")) < 6144
