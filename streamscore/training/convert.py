"""A trained scikit-learn classifier as an ONNX graph with one float32 input and one output, P(positive) [n,
1].

A random forest becomes one `TreeEnsemble` operator (ai.onnx.ml 5) written here: skl2onnx 1.20 sends missing
values down the wrong branch (44 % of rows with NaN came out different, by up to 0.87), and its older operator
is three times larger and loads slower. Every other estimator goes through skl2onnx. Either way `prove` has
the last word.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier

from common.errors import InvalidInputError, ModelRefusedError
from scoring.bundle import Conversion, Thresholds
from scoring.model import rounded

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

MAX_DIFFERENCE = 1e-5
_INPUT, _OUTPUT = "features", "probability"
_OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 5)]
_IR_VERSION = 10
_WORST_ROWS = 3


def to_onnx(estimator: Any, width: int) -> bytes:
    """The graph of a fitted binary classifier of `width` features; the same bytes for the same estimator."""
    graph = (
        _forest(estimator, width) if isinstance(estimator, RandomForestClassifier) else _any(estimator, width)
    )
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString(deterministic=True))


def prove(reference: Doubles, served: Floats, thresholds: Thresholds) -> Conversion:
    """The record that `served` (ONNX Runtime) equals `reference` (the estimator) row by row.

    Raises ModelRefusedError, naming the worst rows, if any differs by more than 1e-5 or is decided otherwise.
    """
    difference = np.abs(reference - served)
    flipped = _levels(rounded(reference.astype(np.float32)), thresholds) != _levels(
        rounded(served), thresholds
    )
    worst = np.argsort(-difference)[:_WORST_ROWS]
    largest = float(difference.max(initial=0.0))
    if not largest <= MAX_DIFFERENCE or flipped.any():
        rows = "; ".join(f"row {n}: trained {reference[n]:.7f}, served {served[n]:.7f}" for n in worst)
        raise ModelRefusedError(
            f"conversion: {int(flipped.sum())} of {len(served)} rows are decided otherwise, "
            f"largest difference {largest:.2e} (at most {MAX_DIFFERENCE:.0e}); worst: {rows}"
        )
    return Conversion(rows=len(served), max_difference=float(f"{largest:.1e}"), flips=0)


def _levels(scores: Doubles, thresholds: Thresholds) -> npt.NDArray[np.int_]:
    return (scores >= thresholds.review).astype(int) + (scores >= thresholds.block)


@dataclass
class _Nodes:
    """The operator's attributes, an array a tree; inner nodes and leaves are numbered apart, over all
    trees.
    """

    roots: list[int] = field(default_factory=list)
    features: list[Any] = field(default_factory=list)
    splits: list[Any] = field(default_factory=list)
    missing_goes_left: list[Any] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    left_is_leaf: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)
    right_is_leaf: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    inner: int = 0
    leaves: int = 0

    def add(self, tree: Any, trees: int) -> None:
        """Append one fitted `sklearn.tree._tree.Tree` of a forest of `trees`."""
        nodes = tree.__getstate__()["nodes"]
        leaf = nodes["left_child"] < 0
        share = tree.value[:, 0, 1] / tree.value[:, 0, :].sum(axis=1) / trees
        if leaf[0]:
            self._add_constant(share[0])
            return
        place = np.where(leaf, self.leaves + np.cumsum(leaf), self.inner + np.cumsum(~leaf)) - 1
        inner = nodes[~leaf]
        self.roots.append(self.inner)
        self.features.append(inner["feature"])
        self.splits.append(inner["threshold"])
        self.missing_goes_left.append(inner["missing_go_to_left"])
        for child, places, flags in (
            ("left_child", self.left, self.left_is_leaf),
            ("right_child", self.right, self.right_is_leaf),
        ):
            places.append(place[inner[child]])
            flags.append(leaf[inner[child]])
        self.weights.append(share[leaf])
        self.inner += len(inner)
        self.leaves += int(leaf.sum())

    def _add_constant(self, share: float) -> None:
        """A tree of one leaf: the operator has no such thing, so a split whose two sides are that leaf."""
        self.roots.append(self.inner)
        for column, value in ((self.features, 0), (self.splits, 0.0), (self.missing_goes_left, 0)):
            column.append(np.array([value]))
        for places, flags in ((self.left, self.left_is_leaf), (self.right, self.right_is_leaf)):
            places.append(np.array([self.leaves]))
            flags.append(np.array([True]))
        self.weights.append(np.array([share]))
        self.inner += 1
        self.leaves += 1


def _forest(estimator: Any, width: int) -> onnx.ModelProto:
    nodes = _Nodes()
    for tree in estimator.estimators_:
        nodes.add(tree.tree_, len(estimator.estimators_))
    operator = helper.make_node(
        "TreeEnsemble",
        [_INPUT],
        [_OUTPUT],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,
        post_transform=0,
        tree_roots=nodes.roots,
        nodes_featureids=_integers(nodes.features),
        nodes_truenodeids=_integers(nodes.left),
        nodes_trueleafs=_integers(nodes.left_is_leaf),
        nodes_falsenodeids=_integers(nodes.right),
        nodes_falseleafs=_integers(nodes.right_is_leaf),
        nodes_missing_value_tracks_true=_integers(nodes.missing_goes_left),
        nodes_splits=numpy_helper.from_array(_round_down(np.concatenate(nodes.splits))),
        nodes_modes=numpy_helper.from_array(np.zeros(nodes.inner, np.uint8)),
        leaf_weights=numpy_helper.from_array(np.concatenate(nodes.weights).astype(np.float32)),
        leaf_targetids=[0] * nodes.leaves,
    )
    return _model(
        helper.make_graph([operator], "forest", [_features(width)], [_probability()]), opsets=_OPSETS
    )


def _any(estimator: Any, width: int) -> onnx.ModelProto:
    """skl2onnx's graph, cut down to the second column of its probabilities."""
    from skl2onnx import to_onnx as skl_to_onnx  # noqa: PLC0415 - two seconds that a forest does not need

    try:
        model: onnx.ModelProto = skl_to_onnx(
            estimator,
            np.zeros((1, width), np.float32),
            options={id(estimator): {"zipmap": False}},
            target_opset=18,
        )
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InvalidInputError(f"{type(estimator).__name__} cannot be converted to ONNX: {error}") from error
    graph = model.graph
    probabilities = graph.output[1].name
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "positive"))
    graph.node.append(helper.make_node("Gather", [probabilities, "positive"], [_OUTPUT], axis=1))
    del graph.output[:]
    graph.output.append(_probability())
    return model


def _model(graph: onnx.GraphProto, opsets: list[Any]) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="streamscore")


def _features(width: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])


def _probability() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, [None, 1])


def _integers(parts: list[Any]) -> list[int]:
    return np.concatenate(parts).astype(np.int64).tolist()  # type: ignore[no-any-return]


def _round_down(thresholds: Doubles) -> Floats:
    """The greatest float32 not above each threshold: x <= t then holds for the same float32 x as before."""
    nearest = thresholds.astype(np.float32)
    above = nearest.astype(np.float64) > thresholds
    nearest[above] = np.nextafter(nearest[above], np.float32(-np.inf))
    return nearest
