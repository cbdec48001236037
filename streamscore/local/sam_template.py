"""What `sam local` is given: the built functions and layers, with the running stack's environment.

`sam local` knows neither the names CloudFormation gave our tables nor where the emulator listens, and passes
on no variable that a template does not declare.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamscore.local.template import Template

_KEPT = ("Handler", "Runtime", "Architectures", "MemorySize", "Timeout")


def sam_template(built: Template, build: Path, environments: Mapping[str, Mapping[str, str]]) -> Template:
    """The functions and layers of the template `sam build` left in `build`, paths absolute, nothing else.

    `environments` holds every function's whole environment, by logical id.
    """
    common = built["Globals"]["Function"]
    resources: Template = {}
    for name, resource in built["Resources"].items():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties = resource["Properties"] | {"ContentUri": str(build / name)}
        elif resource["Type"] == "AWS::Serverless::Function":
            own = resource["Properties"]
            properties = {key: (common | own)[key] for key in _KEPT} | {
                "CodeUri": str(build / name),
                "Layers": common["Layers"] + own.get("Layers", []),
                "Environment": {"Variables": dict(environments[name])},
                "Events": _routes(own),
            }
        else:
            continue
        resources[name] = {"Type": resource["Type"], "Properties": properties}
    return {"Transform": built["Transform"], "Resources": resources}


def _routes(function: Template) -> Template:
    """The function's routes, on an HTTP API that nothing but the routes describes (no IAM, no log)."""
    routes = {name: event for name, event in function.get("Events", {}).items() if event["Type"] == "HttpApi"}
    return {
        name: event | {"Properties": {k: v for k, v in event["Properties"].items() if k != "ApiId"}}
        for name, event in routes.items()
    }


def environments(
    outputs: Mapping[str, str], lambda_client: Any, reach: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Each function's environment as deployed, by logical id, and on top how to `reach` the emulator."""
    found = {}
    for key, name in outputs.items():
        if key.endswith("FunctionName"):
            deployed = lambda_client.get_function_configuration(FunctionName=name)
            found[key.removesuffix("Name")] = deployed["Environment"]["Variables"] | reach
    return found
