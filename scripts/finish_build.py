"""What `sam build` leaves undone: compiles the functions' code, then proves that each handler imports.

A handler gets what it will have on Lambda and nothing else: its code, its layers, the runtime's botocore.
Exits 1 with one line at the first thing that does not hold.
"""

import compileall
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import NoReturn

from onnx import TensorProto, helper

from streamscore.local.template import read_template

BUILD = Path(".aws-sam/build").resolve()
LAMBDA_PROVIDES = ("botocore", "jmespath", "dateutil", "urllib3", "six")
WHEELS_LIMIT_MB = 90  # a function's layers, unzipped: bytes are cold-start time (Lambda's own limit is 250)
IMPORT = """
import importlib, sys
handler, sys.path[:0] = sys.argv[1], sys.argv[2:]
module, _, name = handler.rpartition(".")
if not callable(getattr(importlib.import_module(module), name)): sys.exit(f"{handler} is not callable")
heavy = {"boto3", "aws_xray_sdk"} & set(sys.modules)
if heavy: sys.exit(f"{handler} imports {heavy}, which slows every cold start")
"""
SCORE = """
import sys
model, sys.path[:0] = sys.argv[1], sys.argv[2:]
import numpy, onnxruntime
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
(sums,) = session.run(None, {"x": numpy.array([[1, 2, 4]], numpy.float32)})
if sums.tolist() != [[7.0]]: sys.exit(f"onnxruntime answers {sums}")
"""


def main() -> None:
    """Compile and check every function of the built template; one line a function on stdout."""
    _check_onnxruntime()
    template = read_template(BUILD / "template.yaml")
    everywhere = template["Globals"]["Function"]["Layers"]
    with tempfile.TemporaryDirectory() as folder:
        runtime = _lambda_provides(Path(folder))
        for name, resource in template["Resources"].items():
            if resource["Type"] == "AWS::Serverless::Function":
                properties = resource["Properties"]
                layers = [layer["Ref"] for layer in everywhere + properties.get("Layers", [])]
                _compile(BUILD / name)
                _check(name, properties["Handler"], [BUILD / layer / "python" for layer in layers], runtime)


def _compile(code: Path) -> None:
    """`/var/task` is read-only on Lambda: without .pyc every cold start would compile."""
    done = compileall.compile_dir(
        code,
        quiet=1,
        force=True,
        stripdir=str(code),
        prependdir="/var/task",
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        _fail(f"{code.name}: its code does not compile")


def _check(name: str, handler: str, wheels: list[Path], runtime: Path) -> None:
    size_mb = sum(_size_mb(folder) for folder in wheels)
    if size_mb > WHEELS_LIMIT_MB:
        _fail(f"{name}: its layers hold {size_mb:.0f} MB, more than {WHEELS_LIMIT_MB}")
    if complaint := _run(IMPORT, handler, [BUILD / name, *wheels, runtime]):
        _fail(f"{name}: {handler} does not import with what Lambda will have:\n{complaint}")
    sys.stdout.write(f"{name}: {handler} imports; {size_mb:.0f} MB of layers\n")


def _check_onnxruntime() -> None:
    """The stripped library still scores: imports alone would not show that too much was left out."""
    shapes = {"x": [None, 3], "sum": [None, 1]}
    x, total = (helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in shapes.items())
    graph = helper.make_graph([helper.make_node("ReduceSum", ["x", "axes"], ["sum"])], "sum", [x], [total])
    graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        wheels = [BUILD / layer / "python" for layer in ("RuntimeLayer", "OnnxLayer")]
        if complaint := _run(SCORE, file.name, wheels):
            _fail(f"OnnxLayer: onnxruntime does not score a model:\n{complaint}")


def _run(code: str, argument: str, path: list[Path]) -> str:
    """What a bare interpreter with `path` says on stderr when it fails; empty when it does not."""
    command = [sys.executable, "-I", "-S", "-B", "-c", code, argument, *map(str, path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    return done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else ""


def _lambda_provides(folder: Path) -> Path:
    """A folder of links to the packages that Lambda's Python runtime brings itself."""
    for name in LAMBDA_PROVIDES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            _fail(f"{name} is not installed in this environment; run `make setup`")
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20


def _fail(message: str) -> NoReturn:
    sys.exit(f"build: {message}")


if __name__ == "__main__":
    main()
