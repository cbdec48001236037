"""A model from elsewhere as a graph of ours: features in, P(positive) out; what a function could not run is
refused, in words.
"""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, inliner, shape_inference

from common.errors import ModelRefusedError
from streamscore.training.graph import INPUT, ML, Graph, encoded

STANDARD = frozenset({"", "ai.onnx", ML})
_ROWS_AND_COLUMNS = 2
_KINDS = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64"}


def adopted(data: bytes, width: int, output: str | None = None) -> bytes:
    """The graph with one float32 input [n, width] and one float32 output [n, 1], of what it needs only.

    P(positive) is its only tensor of floats, or that named `output`: [n, 1], [n], or the second column of
    [n, 2]. ModelRefusedError says what stands against it.
    """
    model = _readable(data)
    _refuse_external(model)
    model = inliner.inline_local_functions(model) if model.functions else model
    _refuse_custom(model)
    source = _only_input(model, width)
    graph = Graph(width)
    fed = graph.doubles(INPUT) if source.type.tensor_type.elem_type == TensorProto.DOUBLE else INPUT
    wanted, columns = _probability(model, output)
    del model.graph.input[:]
    model.graph.input.append(source)
    answer = graph.include(model, fed, wanted)
    if columns == _ROWS_AND_COLUMNS:
        answer = graph.op("Gather", answer, graph.constant([1], int), axis=1)
    elif columns == 0:
        answer = graph.op("Reshape", answer, graph.constant([-1, 1], int))
    try:
        return encoded(graph.model(graph.floats(answer)))
    except onnx.checker.ValidationError as error:
        raise ModelRefusedError(f"the model is no valid graph: {_line(error)}") from error


def _readable(data: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelRefusedError("the file is no ONNX model") from error
    if not model.graph.node:
        raise ModelRefusedError("the file is no ONNX model: it holds no operator")
    return model


def _refuse_external(model: onnx.ModelProto) -> None:
    for tensor in _tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            raise ModelRefusedError(
                f"the model keeps {tensor.name or 'a tensor'} in a file beside it (external data); "
                "save it as one file (onnx.save(..., save_as_external_data=False))"
            )


def _refuse_custom(model: onnx.ModelProto) -> None:
    for node in _nodes(model.graph):
        if node.domain not in STANDARD:
            raise ModelRefusedError(
                f"the model needs the operator {node.op_type} of {node.domain}, which is no standard one; "
                "export it with standard ONNX operators only"
            )


def _only_input(model: onnx.ModelProto, width: int) -> onnx.ValueInfoProto:
    constants = {one.name for one in model.graph.initializer}
    free = [one for one in model.graph.input if one.name not in constants]
    if len(free) != 1:
        names = ", ".join(one.name for one in free)
        raise ModelRefusedError(
            f"the model has {len(free)} inputs ({names}); export it with one, float32 [n, {width}]"
        )
    kind = free[0].type.tensor_type.elem_type
    if kind not in _KINDS:
        raise ModelRefusedError(f"the model's input {free[0].name} is no tensor of float32 or float64")
    shape = _shape(free[0])
    if shape is not None and (len(shape) != _ROWS_AND_COLUMNS or shape[1] not in (None, width)):
        raise ModelRefusedError(
            f"the model's input {free[0].name} is {_shown(shape)}, the features are [n, {width}]; "
            "name the features it takes, in its order, with --inputs"
        )
    if shape is not None and shape[0] is not None:
        raise ModelRefusedError(
            f"the model's input {free[0].name} is {_shown(shape)}: always {shape[0]} rows; "
            "export it with a free first dimension"
        )
    only: onnx.ValueInfoProto = free[0]
    return only


def _probability(model: onnx.ModelProto, output: str | None) -> tuple[str, int]:
    """(the name of the tensor, its columns: 1, 2, or 0 if it has no second dimension)."""
    zipped = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap"}
    inferred = {one.name: one for one in shape_inference.infer_shapes(model).graph.output}
    found: dict[str, tuple[str, list[int | None] | None]] = {}
    for name, value in inferred.items():
        if name in zipped:
            found[name] = (zipped[name].input[0], [None, _classes(zipped[name])])
        elif value.type.tensor_type.elem_type in _KINDS:
            found[name] = (name, _shape(value))
    if output is None and len(found) == 1:
        output = next(iter(found))
    if output not in found:
        names = ", ".join(found) or "none"
        raise ModelRefusedError(
            f"the model's outputs of floats are: {names}; say with --probability which is P(positive)"
            if output is None
            else f"the model has no output of floats {output}; it has: {names}"
        )
    name, shape = found[output]
    if shape is None:
        raise ModelRefusedError(f"the model does not say the shape of its output {output}; export it with it")
    columns = shape[1] if len(shape) == _ROWS_AND_COLUMNS else 0
    if len(shape) not in (1, _ROWS_AND_COLUMNS) or columns not in (0, 1, 2):
        raise ModelRefusedError(
            f"the model's output {output} is {_shown(shape)}, not [n, 1], [n] or [n, 2]: "
            "it must be the probability of one class, or of two"
        )
    return name, columns


def _classes(zipmap: onnx.NodeProto) -> int:
    return max(len(one.ints) + len(one.strings) for one in zipmap.attribute)


def _shape(value: onnx.ValueInfoProto) -> list[int | None] | None:
    """Its dimensions (None: any), or None if it has not said."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [
        one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None for one in tensor.shape.dim
    ]


def _shown(shape: list[int | None]) -> str:
    return f"[{', '.join('n' if one is None else str(one) for one in shape)}]"


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for inner in _inner(node):
            yield from _nodes(inner)


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
        for inner in _inner(node):
            yield from _tensors(inner)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
