"""template.yaml as CloudFormation gets it, for the tests that read it."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

from streamscore.local.template import read_template

ROOT = Path(__file__).resolve().parents[2]
TRANSFORM = """
import json, sys
from samtranslator.translator.transform import transform
class NoManagedPolicies:
    def load(self): return {}
template, parameters = json.load(sys.stdin)
json.dump(transform(template, parameters, NoManagedPolicies()), sys.stdout)
"""


@functools.cache
def source() -> dict[str, Any]:
    return read_template(ROOT / "template.yaml")


@functools.cache
def resources() -> dict[str, Any]:
    made: dict[str, Any] = transformed(source())["Resources"]
    return made


def transformed(
    template: dict[str, Any],
    code: str = "s3://bucket/code.zip",
    layer: str = "s3://bucket/layer.zip",
    **parameters: str,
) -> dict[str, Any]:
    """The template as CloudFormation gets it, with code and layers that lie there, and these parameters."""
    uploaded = json.loads(json.dumps(template))
    uploaded["Globals"]["Function"]["CodeUri"] = code
    uploaded["Resources"]["RetrainMachine"]["Properties"]["DefinitionUri"] = "s3://bucket/definition"
    for name in ("RuntimeLayer", "OnnxLayer"):
        uploaded["Resources"][name]["Properties"]["ContentUri"] = layer
    done = subprocess.run(
        [ROOT / ".tools/emulator/bin/python", "-c", TRANSFORM],
        input=json.dumps([uploaded, parameters]),
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def of_type(kind: str) -> dict[str, Any]:
    return {name: r["Properties"] for name, r in resources().items() if r["Type"] == kind}
