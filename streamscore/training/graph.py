"""ONNX graphs in the making: one input `features` float32 [n, F], one output `probability` float32 [n, 1]."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

INPUT, OUTPUT = "features", "probability"
ML = "ai.onnx.ml"
_OPSET, _IR_VERSION = 18, 10


class Graph:
    """Nodes in the order in which they are added. Every name is a function of that order, so the same steps
    give the same bytes.
    """

    def __init__(self, width: int, opset: int = _OPSET, ml_opset: int = 5) -> None:
        self.opset, self.ml_opset, self.width = opset, ml_opset, width
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        made = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [made], domain=domain, **attributes))
        return made

    def constant(self, value: npt.ArrayLike, dtype: type = np.float64) -> str:
        """Add a constant; its name."""
        made = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), made))
        return made

    def doubles(self, name: str) -> str:
        """The same values as float64."""
        return self.op("Cast", name, to=TensorProto.DOUBLE)

    def floats(self, name: str) -> str:
        """The nearest float32 values."""
        return self.op("Cast", name, to=TensorProto.FLOAT)

    def include(self, model: onnx.ModelProto, source: str, wanted: str) -> str:
        """Add the part of another graph, of one input, that computes `wanted`, fed by `source`."""
        for opset in model.opset_import:
            if opset.domain == ML:
                self.ml_opset = opset.version
            elif opset.domain == "":
                self.opset = opset.version
        prefix = f"part_{len(self.nodes)}_"
        fed = prefix + model.graph.input[0].name
        graph = compose.add_prefix(model, prefix).graph
        nodes = needed(graph.node, prefix + wanted)
        for node in nodes:
            node.input[:] = [source if name == fed else name for name in node.input]
        used = {name for node in nodes for name in inputs(node)}
        self.nodes += nodes
        self.constants += [one for one in graph.initializer if one.name in used]
        return prefix + wanted

    def model(self, probability: str) -> onnx.ModelProto:
        """The checked model whose output is the float32 [n, 1] of that name."""
        self.nodes.append(helper.make_node("Identity", [probability], [OUTPUT]))
        made = helper.make_model(
            helper.make_graph(
                _without_identity(self.nodes),
                "score",
                [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, self.width])],
                [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
                initializer=self.constants,
            ),
            opset_imports=self._opsets(),
            ir_version=_IR_VERSION,
            producer_name="streamscore",
        )
        onnx.checker.check_model(made)
        return made

    def _opsets(self) -> list[Any]:
        domains = {node.domain for node in self.nodes} & {ML}
        return [
            helper.make_opsetid("", self.opset),
            *(helper.make_opsetid(ML, self.ml_opset) for _ in domains),
        ]


def encoded(model: onnx.ModelProto) -> bytes:
    """The model's bytes: the same for the same model."""
    return bytes(model.SerializeToString(deterministic=True))


def needed(nodes: Iterable[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The nodes that `output` depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(inputs(node))
    return kept[::-1]


def inputs(node: onnx.NodeProto) -> Iterable[str]:
    """Every name a node reads, inside its subgraphs too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for inner in graph.node:
                yield from inputs(inner)


def _without_identity(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The nodes without the last, which only renames an output, if the one before can write that name."""
    *body, last = nodes
    renamed = last.input[0]
    makers = [node for node in body if renamed in node.output]
    readers = [node for node in body if renamed in set(inputs(node))]
    if not makers or readers:
        return nodes
    makers[0].output[:] = [OUTPUT if name == renamed else name for name in makers[0].output]
    return body
