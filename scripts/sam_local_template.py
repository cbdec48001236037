"""Writes .local/sam/template.json: what `make build` built, with the running local stack's environment.

`sam local` knows neither the names CloudFormation gave our tables nor where the emulator listens, and passes
on no variable that a template does not declare. So it gets a template that says all of it in plain values.
"""

import json
import sys
from pathlib import Path
from typing import Any

from streamscore.local import stack as stacks
from streamscore.local.template import Template, read_template

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".aws-sam/build"
OURS = ("MINISTACK_LAMBDA_PROXY_URL",)  # of the local stack's own runtime host
KEPT = ("Handler", "Runtime", "Architectures", "MemorySize", "Timeout")


def main() -> None:
    """Print the path of the template written."""
    if not (BUILD / "template.yaml").exists():
        sys.exit("sam-local: nothing is built; run `make build` first")
    stack = stacks.load(ROOT)
    template = local_template(read_template(BUILD / "template.yaml"), environments(stack))
    path = ROOT / ".local/sam/template.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(template, indent=2), encoding="utf-8")
    sys.stdout.write(f"{path}\n")


def environments(stack: stacks.Stack) -> dict[str, dict[str, str]]:
    """Each function's environment in the running stack, by logical id, and how to reach the emulator."""
    reach = {
        "AWS_ENDPOINT_URL": stack.endpoint,
        "AWS_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    functions = {
        key.removesuffix("Name"): name for key, name in stack.outputs.items() if key.endswith("FunctionName")
    }
    client = stack.client("lambda")
    found = {}
    for logical_id, name in functions.items():
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        found[logical_id] = {key: value for key, value in variables.items() if key not in OURS} | reach
    return found


def local_template(built: Template, environment: dict[str, dict[str, str]]) -> Template:
    """Functions and layers of a built template, with absolute paths and plain environments."""
    common = built["Globals"]["Function"]
    resources: Template = {}
    for name, resource in built["Resources"].items():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties = resource["Properties"] | {"ContentUri": str(BUILD / name)}
            resources[name] = {"Type": resource["Type"], "Properties": properties}
        elif resource["Type"] == "AWS::Serverless::Function":
            resources[name] = {
                "Type": resource["Type"],
                "Properties": _function(name, common, resource["Properties"], environment[name]),
            }
    return {"Transform": built["Transform"], "Resources": resources}


def _function(
    name: str, common: dict[str, Any], own: dict[str, Any], variables: dict[str, str]
) -> dict[str, Any]:
    merged = common | own
    return {
        **{key: merged[key] for key in KEPT},
        "Layers": common["Layers"] + own.get("Layers", []),
        "CodeUri": str(BUILD / name),
        "Environment": {"Variables": variables},
    }


if __name__ == "__main__":
    main()
