"""Create the stack of template.yaml in the emulator, and read from it what our host and poller need."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import StreamscoreError
from streamscore.local.function_process import Function
from streamscore.local.mapping import KIND as MAPPING_KIND
from streamscore.local.mapping import Mapping, read_mapping
from streamscore.local.overlay import COMPOSITE, PARAMETERS, hurry, localised
from streamscore.local.template import Template, read_template

type Clients = Callable[[str], Any]

TEMPLATES = "streamscore-templates"
"""The bucket they are created from."""


class DeployError(StreamscoreError):
    """The emulator refused the template; the message is its reason."""


@dataclass(frozen=True)
class Deployed:
    """A stack as CloudFormation made it."""

    outputs: dict[str, str]
    functions: tuple[Function, ...]
    mappings: tuple[Mapping, ...]


def deploy(  # noqa: PLR0913 - each by its name
    clients: Clients,
    name: str,
    template_path: Path,
    proxy_url: str,
    shards: int = 1,
    *,
    window_s: int | None = None,
) -> Deployed:
    """Create the stack; its functions are invoked at `proxy_url`, its mappings are the caller's to poll.

    With `window_s` the monitor's windows are so long, and looks are the caller's to ask for: see `hurry`.
    """
    source = read_template(template_path)
    local = localised(source, proxy_url)
    if window_s is not None:
        hurry(local, window_s)
    create(clients, name, local, {"ShardCount": str(shards)})
    return adopt(clients, name, source)


def adopt(clients: Clients, name: str, source: Template) -> Deployed:
    """A stack that is there, whoever made it of the template `source`, with what the emulator left out.

    The emulator no longer polls its mappings: they are the caller's.
    """
    formation = clients("cloudformation")
    processed = _processed(formation, name)
    physical = _physical_ids(formation, name)
    _set_ttl(clients, processed, physical)
    put_composite_alarms(clients("cloudwatch"), source, physical | {"AWS::StackName": name})
    return Deployed(
        outputs=outputs_of(formation.describe_stacks(StackName=name)["Stacks"][0]),
        functions=tuple(_functions(clients, processed, physical)),
        mappings=tuple(_mappings(clients, processed, physical, _disabled_mappings(source))),
    )


def create(clients: Clients, name: str, template: Template, parameters: dict[str, str]) -> dict[str, str]:
    """Create a stack of an overlaid template and return its outputs; DeployError with the emulator's reason.

    By way of S3, as `sam deploy` does it: a template in the request may have 51,200 bytes.
    """
    s3, formation = clients("s3"), clients("cloudformation")
    s3.create_bucket(Bucket=TEMPLATES)
    s3.put_object(Bucket=TEMPLATES, Key=name, Body=json.dumps(template).encode())
    created = formation.create_stack(
        StackName=name,
        TemplateURL=f"{s3.meta.endpoint_url}/{TEMPLATES}/{name}",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in (PARAMETERS | parameters).items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    stack = formation.describe_stacks(StackName=created["StackId"])["Stacks"][0]
    if stack["StackStatus"] != "CREATE_COMPLETE":
        raise DeployError(f"stack {name}: {stack['StackStatus']}: {_reason(formation, name)}")
    return outputs_of(stack)


def outputs_of(stack: dict[str, Any]) -> dict[str, str]:
    """The outputs of a stack that `DescribeStacks` told of, by name."""
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}


def put_composite_alarms(cloudwatch: Any, source: Template, values: dict[str, str]) -> None:
    """The emulator's CloudFormation makes none; its CloudWatch does, without their quiet times.

    `values` has what `Ref` gives for the resources and pseudo parameters they name.
    """
    for resource in source["Resources"].values():
        if resource["Type"] == COMPOSITE:
            declared = resource["Properties"]
            cloudwatch.put_composite_alarm(
                AlarmName=_filled(declared["AlarmName"], values),
                AlarmDescription=declared["AlarmDescription"],
                AlarmRule=_filled(declared["AlarmRule"], values),
                AlarmActions=[values[action["Ref"]] for action in declared["AlarmActions"]],
                OKActions=[values[action["Ref"]] for action in declared["OKActions"]],
            )


def _filled(sub: dict[str, str], values: dict[str, str]) -> str:
    """What `Fn::Sub` makes of a text."""
    return re.sub(r"\$\{([^}]+)\}", lambda name: values[name[1]], sub["Fn::Sub"])


def _reason(formation: Any, name: str) -> str:
    events = formation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        e["ResourceStatusReason"]
        for e in events
        if "FAILED" in e["ResourceStatus"] and "ResourceStatusReason" in e
    ]
    return reasons[-1] if reasons else "no reason given"


def _processed(formation: Any, name: str) -> Template:
    body = formation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    template: Template = json.loads(body) if isinstance(body, str) else body
    return template


def _physical_ids(formation: Any, name: str) -> dict[str, str]:
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=name)
    return {
        r["LogicalResourceId"]: r["PhysicalResourceId"]
        for page in pages
        for r in page["StackResourceSummaries"]
        if "PhysicalResourceId" in r
    }


def _of_kind(
    processed: Template, kind: str, physical: dict[str, str]
) -> list[tuple[str, str, dict[str, Any]]]:
    """Logical id, physical id and properties of the resources of a type that were made."""
    return [
        (name, physical[name], resource.get("Properties", {}))
        for name, resource in processed["Resources"].items()
        if resource["Type"] == kind and name in physical
    ]


def _set_ttl(clients: Clients, processed: Template, physical: dict[str, str]) -> None:
    """The emulator's CloudFormation forgets it."""
    for _name, table, properties in _of_kind(processed, "AWS::DynamoDB::Table", physical):
        if ttl := properties.get("TimeToLiveSpecification"):
            clients("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification=ttl)


def _functions(clients: Clients, processed: Template, physical: dict[str, str]) -> list[Function]:
    return [
        function_of(clients("lambda").get_function_configuration(FunctionName=function_name), name)
        for name, function_name, _properties in _of_kind(processed, "AWS::Lambda::Function", physical)
    ]


def function_of(configuration: dict[str, Any], log_name: str = "") -> Function:
    """What `GetFunctionConfiguration` told of a function."""
    return Function(
        name=configuration["FunctionName"],
        arn=configuration["FunctionArn"],
        handler=configuration["Handler"],
        timeout_s=configuration["Timeout"],
        memory_mb=configuration["MemorySize"],
        environment=configuration.get("Environment", {}).get("Variables", {}),
        log_name=log_name,
    )


def _disabled_mappings(template: Template) -> set[str]:
    """Logical ids of the mappings that the template itself turns off, whatever the parameters say."""
    return {
        f"{name}{event_name}"
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        for event_name, event in resource["Properties"].get("Events", {}).items()
        if event.get("Properties", {}).get("Enabled") is False
    }


def _mappings(
    clients: Clients, processed: Template, physical: dict[str, str], disabled: set[str]
) -> list[Mapping]:
    mappings = []
    for name, mapping_id, declared in _of_kind(processed, MAPPING_KIND, physical):
        # After a deployment with Enabled: false it still reads Enabled; the emulator must never poll it.
        clients("lambda").update_event_source_mapping(UUID=mapping_id, Enabled=False)
        mappings.append(
            read_mapping(
                name,
                declared,
                clients("lambda").get_event_source_mapping(UUID=mapping_id),
                enabled=name not in disabled,
            )
        )
    return mappings
