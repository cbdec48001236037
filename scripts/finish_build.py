"""What `sam build` leaves undone: compiles the functions' code, then proves that each handler imports.

A handler gets its code and its layers and nothing else, not even the botocore that Lambda's runtime brings,
and may not compile anything: what it imports lies there as .pyc of this Python's minor version. Exits 1 with
one line at the first thing that does not hold.
"""

import compileall
import subprocess
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import NoReturn

from onnx import TensorProto, helper

from streamscore.local.template import read_template

BUILD = Path(".aws-sam/build").resolve()
# Unzipped, in 10^6 bytes: bytes are cold-start time (Lambda's own limit is 250).
FUNCTION_LIMIT_MB = 95  # a function's code and layers
ONNX_LIMIT_MB = 80  # ONNX Runtime and the numpy it needs
UNCHECKED_HASH = 0b01  # a .pyc's flags, PEP 552
IMPORT = """
import importlib, importlib.machinery, sys
handler, sys.path[:0] = sys.argv[1], sys.argv[2:]
loader, ours = importlib.machinery.SourceFileLoader, tuple(sys.argv[2:])
compiled = loader.source_to_code
def compiles(self, data, path, **more):
    if path.startswith(ours): sys.exit(f"{path} has no .pyc that is used: every cold start would compile it")
    return compiled(self, data, path, **more)
loader.source_to_code = compiles
module, _, name = handler.rpartition(".")
if not callable(getattr(importlib.import_module(module), name)): sys.exit(f"{handler} is not callable")
heavy = {"boto3", "botocore", "aws_xray_sdk"} & set(sys.modules)
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
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            properties = resource["Properties"]
            layers = [layer["Ref"] for layer in everywhere + properties.get("Layers", [])]
            _compile(BUILD / name)
            _check(name, properties["Handler"], [BUILD / layer / "python" for layer in layers])


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


def _check(name: str, handler: str, wheels: list[Path]) -> None:
    size_mb = sum(_size_mb(folder) for folder in (BUILD / name, *wheels))
    if size_mb > FUNCTION_LIMIT_MB:
        _fail(f"{name}: its code and layers hold {size_mb:.0f} MB, more than {FUNCTION_LIMIT_MB}")
    for folder in (BUILD / name, *wheels):
        for file in folder.rglob("*.pyc"):
            if int.from_bytes(file.read_bytes()[4:8], "little") != UNCHECKED_HASH:
                _fail(f"{file}: is compared with its source's date, which unzipping changes")
    if complaint := _run(IMPORT, handler, [BUILD / name, *wheels]):
        _fail(f"{name}: {handler} does not import with what Lambda will have:\n{complaint}")
    sys.stdout.write(f"{name}: {handler} imports; {size_mb:.0f} MB of code and layers\n")


def _check_onnxruntime() -> None:
    """It is lean, and still scores: imports alone would not show that too much was left out."""
    needed = [BUILD / "OnnxLayer", *(BUILD / "RuntimeLayer/python").glob("numpy*")]
    size_mb = sum(map(_size_mb, needed))
    if size_mb > ONNX_LIMIT_MB:
        _fail(f"OnnxLayer: with numpy it holds {size_mb:.0f} MB, more than {ONNX_LIMIT_MB}")
    sys.stdout.write(f"OnnxLayer: {size_mb:.0f} MB with numpy\n")
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


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def _fail(message: str) -> NoReturn:
    sys.exit(f"build: {message}")


if __name__ == "__main__":
    main()
