"""What each function's role grants, against what the function did in a run: neither may be more.

The emulator keeps the trail (streamscore/local/emulator_trail.py). What of the granted no run shows is listed
here, once, with its reason; what is listed and used all the same is a mistake too.
"""

import json
import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from tests.unit.transformed_template import of_type, resources

JOBS = "TrainingJobRole"
SAGEMAKER = "SageMaker itself, with the job's role"
LAMBDA = "Lambda itself, with the function's role"
NOT_BY_CODE = {
    "WriteLogs": LAMBDA,
    "ReadEvents": f"{LAMBDA}: its poller",
    "ReadRows": f"{LAMBDA}: its poller",
    "ReadDecisions": f"{LAMBDA}: its poller",
    "LambdaListsStreams": f"{LAMBDA}: when a mapping is made",
    "LambdaChecksItsDestination": f"{LAMBDA}: when a mapping is made",
    "SeeTheBucket": "nobody calls it: S3 answers 404 for what is absent to those who may list, and else 403",
    "UseTheStacksKey": "the services that encrypt with it, on the function's behalf",
    "SendTraces": "the X-Ray daemon, with the function's role",
    "KeepFailedRecords": f"{LAMBDA}: what a mapping gives up",
    "KeepFailedRuns": f"{LAMBDA}: what an asynchronous invocation gives up",
    "KeepFailedTriggers": f"{LAMBDA}: what an asynchronous invocation gives up",
    "DecryptAndEncrypt": f"{SAGEMAKER}, and the services that encrypt",
    "PullTheImage": SAGEMAKER,
    "LogInToTheRegistry": SAGEMAKER,
    "KeepExports": "DynamoDB, with the job's role",
}
"""By statement: what a role grants for others than the function's own code."""
NOT_BY_CODE_AT = {"aws/lambda/*": NOT_BY_CODE["KeepFailedRecords"]}
"""By folder of the bucket, where a statement has others that the code uses."""
OTHER_RUNS = {
    (
        "ScoringFunction",
        "sqs:SendMessage",
    ): "a bus that does not answer: tests/integration/test_scoring_bus.py",
    (
        "ScoringFunction",
        "sqs:ReceiveMessage",
    ): "a process that is a minute old: tests/integration/test_scoring_bus.py",
    (
        "ScoringFunction",
        "sqs:DeleteMessage",
    ): "a bus that answers again: tests/integration/test_scoring_bus.py",
    (
        "ScoringApiFunction",
        "sqs:SendMessage",
    ): "a bus that does not answer: tests/integration/test_scoring_bus.py",
    ("MonitorScheduleFunction", "events:PutEvents"): "drift: tests/integration/test_drift_on_the_stack.py",
    (
        "ScoringFunction",
        "s3:GetObject specs/*",
    ): "rows from before a deployment: tests/integration/test_scoring_stream.py",
    (
        "ScoringApiFunction",
        "s3:GetObject specs/*",
    ): "decisions from before one: tests/integration/test_scoring_api_decisions.py",
    (JOBS, "s3:GetObject exports/*"): "a table too large to scan: tests/integration/test_exports.py",
    (JOBS, "dynamodb:DescribeContinuousBackups"): "the same",
    (JOBS, "dynamodb:DescribeExport"): "the same",
    (JOBS, "dynamodb:DescribeTable"): "the same",
    (JOBS, "dynamodb:ExportTableToPointInTime"): "the same",
}
"""What only a run with a fault, drift or a deployment needs, or a longer one, and the test that has it."""
RETRAINING = {"RetrainFunction", JOBS}
"""What a demo does not run, and tests/integration/test_retraining.py does."""
ON_HERE = {"MakesStream", "Retrains"}
"""The template's conditions that hold on a local stack; the others grant for what it does not have."""


class Grant(NamedTuple):
    """One action on one resource pattern, which ends as an ARN does."""

    function: str
    sid: str
    action: str
    resource: str

    def covers(self, call: "Call") -> bool:
        """Whether it allows the call."""
        return (self.function, self.action) == (call.caller, call.action) and (
            self.resource == "*" or fnmatchcase(call.resource, self.resource)
        )


class Call(NamedTuple):
    """One line of the trail."""

    caller: str
    action: str
    resource: str


def calls(trail: Path) -> set[Call]:
    return {Call(**json.loads(line)) for line in trail.read_text(encoding="utf-8").splitlines()}


def roles() -> dict[str, str]:
    """The template's functions, each with its role, and the jobs' role, by whose name they call."""
    functions = of_type("AWS::Lambda::Function").items()
    return {name: made["Role"]["Fn::GetAtt"][0] for name, made in functions} | {JOBS: JOBS}


def grants(stack_name: str, physical: Mapping[str, str], callers: Collection[str]) -> list[Grant]:
    """All that the roles of these callers allow on the stack whose resources have these ids."""
    found = []
    for caller, role in roles().items():
        for statement in _statements(role) if caller in callers else ():
            assert statement["Effect"] == "Allow", "a Deny that holds on a local stack has to be looked at"
            ends = [_end(one, stack_name, physical) for one in _listed(_chosen(statement["Resource"]))]
            for action in _listed(statement["Action"]):
                found += [Grant(caller, statement["Sid"], action, end) for end in ends]
    return found


def _statements(role_name: str) -> list[dict[str, Any]]:
    role = of_type("AWS::IAM::Role")[role_name]
    shared = [of_type("AWS::IAM::ManagedPolicy")[arn["Ref"]] for arn in role.get("ManagedPolicyArns", ())]
    documents = [policy["PolicyDocument"] for policy in (*role["Policies"], *shared)]
    chosen: list[dict[str, Any]] = _chosen([s for document in documents for s in document["Statement"]])
    return chosen


def unused(granted: list[Grant], made: set[Call]) -> set[Grant]:
    """What no call needed."""
    return {grant for grant in granted if not any(grant.covers(call) for call in made)}


def not_granted(granted: list[Grant], made: set[Call]) -> set[Call]:
    """Calls that AWS would refuse."""
    return {call for call in made if not any(grant.covers(call) for grant in granted)}


def is_for_others(grant: Grant) -> bool:
    """Whether a list above has a reason why no healthy run of the function's code needs it."""
    folder = grant.resource.partition("/")[2]
    return (
        grant.sid in NOT_BY_CODE
        or folder in NOT_BY_CODE_AT
        or (grant.function, grant.action) in OTHER_RUNS
        or (grant.function, f"{grant.action} {folder}") in OTHER_RUNS
    )


def _chosen(node: Any) -> Any:
    """The node with every `Fn::If` decided as on a local stack; what is no value is left out."""
    if isinstance(node, list):
        return [one for one in map(_chosen, node) if one != {"Ref": "AWS::NoValue"}]
    if isinstance(node, dict):
        if "Fn::If" in node:
            condition, then, otherwise = node["Fn::If"]
            return _chosen(then if condition in ON_HERE else otherwise)
        return {key: _chosen(value) for key, value in node.items()}
    return node


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _end(resource: Any, stack_name: str, physical: Mapping[str, str]) -> str:
    """What the ARN of a statement's resource ends with."""
    if isinstance(resource, str):
        return resource
    if "Fn::Sub" in resource:
        text = resource["Fn::Sub"].rpartition("${AWS::AccountId}:")[2]
        values = {
            "${AWS::StackName}": stack_name,
            "${DataBucket.Arn}": physical["DataBucket"],
            "${DecisionsTable.Arn}": f"table/{physical['DecisionsTable']}",
        }
        return re.sub(r"\$\{[^}]+\}", lambda found: values[found[0]], text)
    name, attribute = (resource["Ref"], "Ref") if "Ref" in resource else resource["Fn::GetAtt"]
    kind, id_ = resources()[name]["Type"], physical.get(name, f"no {name} here")
    if kind == "AWS::SecretsManager::Secret":
        return id_.rpartition(":secret:")[2]
    if kind == "AWS::SQS::Queue":
        return id_.rpartition("/")[2]
    return _BEFORE_A_NAME.get(kind, "") + id_ + ("/stream" if attribute == "StreamArn" else "")


_BEFORE_A_NAME = {
    "AWS::DynamoDB::Table": "table/",
    "AWS::Kinesis::Stream": "stream/",
    "AWS::Events::EventBus": "event-bus/",
    "AWS::CloudWatch::Alarm": "alarm:",
}


def physical_ids(formation: Any, stack_name: str) -> dict[str, str]:
    """Of the stack's resources, by logical id."""
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
    found = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in found}
