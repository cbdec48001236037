"""Ensembles of trees as one `TreeEnsemble` operator (ai.onnx.ml 5).

Written here because skl2onnx 1.20 sends missing values down the wrong branch (44 % of rows with NaN came out
different, by up to 0.87), and its older operator is three times larger and loads slower.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from onnx import numpy_helper

from streamscore.training.graph import ML, Graph

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.integer[Any]]


class Tree(NamedTuple):
    """Arrays over a tree's nodes; node 0 is its root, x <= split goes left, `value` is a leaf's."""

    leaf: Mask
    feature: Places
    split: Doubles
    missing_left: npt.NDArray[Any]
    left: Places
    right: Places
    value: Doubles


def forest(estimator: Any) -> Iterator[Tree]:
    """The trees of a fitted forest, of extra trees or of one decision tree: their sum is P(positive)."""
    each = getattr(estimator, "estimators_", [estimator])
    for one in each:
        shares = one.tree_.value[:, 0, :]
        yield _tree(one.tree_, shares[:, 1] / shares.sum(axis=1) / len(each))


def boosted(estimator: Any, start: float) -> Iterator[Tree]:
    """The trees of a fitted GradientBoostingClassifier: their sum is its raw prediction that starts at
    `start`.
    """
    each = estimator.estimators_[:, 0]
    for one in each:
        yield _tree(one.tree_, estimator.learning_rate * one.tree_.value[:, 0, 0] + start / len(each))


def histogram_boosted(estimator: Any) -> Iterator[Tree]:
    """The trees of a fitted HistGradientBoostingClassifier: their sum is its raw prediction."""
    each = [predictors[0].nodes for predictors in estimator._predictors]
    start = float(np.ravel(estimator._baseline_prediction)[0])
    for nodes in each:
        yield Tree(
            leaf=nodes["is_leaf"].astype(bool),
            feature=nodes["feature_idx"],
            split=nodes["num_threshold"],
            missing_left=nodes["missing_go_to_left"],
            left=nodes["left"].astype(np.int64),
            right=nodes["right"].astype(np.int64),
            value=nodes["value"] + start / len(each),
        )


def _tree(tree: Any, value: Doubles) -> Tree:
    nodes = tree.__getstate__()["nodes"]
    left, right = nodes["left_child"], nodes["right_child"]
    return Tree(
        left < 0, nodes["feature"], nodes["threshold"], nodes["missing_go_to_left"], left, right, value
    )


def add_trees(graph: Graph, source: str, trees: Iterable[Tree], dtype: type) -> str:
    """Add the operator that sums the trees' leaves, in float32 or float64 as `source` is; its output [n, 1].

    Splits are rounded down, so float32 rows go as they went through splits of float64.
    """
    nodes = _Nodes()
    for tree in trees:
        nodes.add(tree)
    return graph.op(
        "TreeEnsemble",
        source,
        domain=ML,
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
        nodes_splits=numpy_helper.from_array(_round_down(np.concatenate(nodes.splits), dtype)),
        nodes_modes=numpy_helper.from_array(np.zeros(nodes.inner, np.uint8)),
        leaf_weights=numpy_helper.from_array(np.concatenate(nodes.weights).astype(dtype)),
        leaf_targetids=[0] * nodes.leaves,
    )


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

    def add(self, tree: Tree) -> None:
        """Append one tree."""
        leaf = tree.leaf
        if leaf[0]:
            self._add_constant(tree.value[0])
            return
        place = np.where(leaf, self.leaves + np.cumsum(leaf), self.inner + np.cumsum(~leaf)) - 1
        self.roots.append(self.inner)
        self.features.append(tree.feature[~leaf])
        self.splits.append(tree.split[~leaf])
        self.missing_goes_left.append(tree.missing_left[~leaf])
        for child, places, flags in (
            (tree.left[~leaf], self.left, self.left_is_leaf),
            (tree.right[~leaf], self.right, self.right_is_leaf),
        ):
            places.append(place[child])
            flags.append(leaf[child])
        self.weights.append(tree.value[leaf])
        self.inner += int((~leaf).sum())
        self.leaves += int(leaf.sum())

    def _add_constant(self, value: float) -> None:
        """A tree of one leaf: the operator has no such thing, so a split whose two sides are that leaf."""
        self.roots.append(self.inner)
        for column, entry in ((self.features, 0), (self.splits, 0.0), (self.missing_goes_left, 0)):
            column.append(np.array([entry]))
        for places, flags in ((self.left, self.left_is_leaf), (self.right, self.right_is_leaf)):
            places.append(np.array([self.leaves]))
            flags.append(np.array([True]))
        self.weights.append(np.array([value]))
        self.inner += 1
        self.leaves += 1


def _integers(parts: list[Any]) -> list[int]:
    return np.concatenate(parts).astype(np.int64).tolist()  # type: ignore[no-any-return]


def _round_down(thresholds: Doubles, dtype: type) -> npt.NDArray[np.floating[Any]]:
    """The greatest value not above each threshold: x <= t then holds for the same float32 x as before."""
    nearest: npt.NDArray[np.floating[Any]] = thresholds.astype(dtype)
    above = nearest.astype(np.float64) > thresholds
    nearest[above] = np.nextafter(nearest[above], np.asarray(-np.inf, dtype))
    return nearest
