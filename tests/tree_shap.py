"""Shapley values of a forest's scores, exactly: what occlusion's reasons are compared with.

What a tree says when only some features are known is its mean over the branches of the others, weighted by
how much of the training data went each way (path-dependent TreeSHAP; Lundberg et al., *Consistent
Individualized Feature Attribution for Tree Ensembles*, 2018). A leaf is then a game whose worth is a product
of one factor a feature on its path, and Shapley's sum runs over a polynomial's coefficients.
"""

from itertools import combinations
from math import factorial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Leaf(NamedTuple):
    """P(positive) in a leaf; for each feature on its path, whether rows fulfil its conditions, and the share
    of the training data that does.
    """

    value: float
    features: list[int]
    fulfilled: Floats  # [features, rows], 0 or 1
    shares: Floats


def shapley(forest: Any, rows: npt.NDArray[np.float32]) -> Floats:
    """The value of each feature for each row [n, F]; they add up to the score less the training mean."""
    values = np.zeros(rows.shape)
    for estimator in forest.estimators_:
        for leaf in leaves(estimator.tree_, rows):
            for place, feature in enumerate(leaf.features):
                values[:, feature] += leaf.value * _in_leaf(leaf, place)
    return values / len(forest.estimators_)


def _in_leaf(leaf: Leaf, place: int) -> Floats:
    """One feature's Shapley value, [n], in a leaf worth 1."""
    others = [n for n in range(len(leaf.features)) if n != place]
    coefficients = np.zeros(
        (len(others) + 1, leaf.fulfilled.shape[1])
    )  # of (share + fulfilled x t), multiplied
    coefficients[0] = 1
    for n in others:
        longer = coefficients * leaf.shares[n]
        longer[1:] += coefficients[:-1] * leaf.fulfilled[n]
        coefficients = longer
    size = len(leaf.features)
    weights = [factorial(k) * factorial(size - 1 - k) / factorial(size) for k in range(size)]
    return (leaf.fulfilled[place] - leaf.shares[place]) * (np.array(weights) @ coefficients)


def leaves(tree: Any, rows: npt.NDArray[np.float32]) -> list[Leaf]:
    """All leaves of a scikit-learn tree."""
    found: list[Leaf] = []

    def walk(node: int, fulfilled: dict[int, Floats], shares: dict[int, float]) -> None:
        if tree.children_left[node] < 0:
            names = list(fulfilled)
            kept = np.array([fulfilled[n] for n in names]).reshape(len(names), len(rows))
            found.append(Leaf(positive(tree, node), names, kept, np.array([shares[n] for n in names])))
            return
        feature, left = int(tree.feature[node]), goes_left(tree, node, rows)
        for child, there in ((tree.children_left[node], left), (tree.children_right[node], ~left)):
            share = tree.weighted_n_node_samples[child] / tree.weighted_n_node_samples[node]
            walk(
                int(child),
                fulfilled | {feature: fulfilled.get(feature, 1.0) * there},
                shares | {feature: shares.get(feature, 1.0) * share},
            )

    walk(0, {}, {})
    return found


def by_definition(tree: Any, row: npt.NDArray[np.float32]) -> Floats:
    """The same for one tree and one row, by going through all coalitions: what `shapley` must equal."""
    width = len(row)
    values = np.zeros(width)
    for feature in range(width):
        others = [n for n in range(width) if n != feature]
        for size in range(width):
            weight = factorial(size) * factorial(width - 1 - size) / factorial(width)
            for known in combinations(others, size):
                gain = expected(tree, row, {*known, feature}) - expected(tree, row, {*known})
                values[feature] += weight * gain
    return values


def expected(tree: Any, row: npt.NDArray[np.float32], known: set[int], node: int = 0) -> float:
    """What the tree says of a row of which only these features are known."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left < 0:
        return positive(tree, node)
    if int(tree.feature[node]) in known:
        return expected(tree, row, known, left if goes_left(tree, node, row[np.newaxis])[0] else right)
    weights = tree.weighted_n_node_samples
    both = [weights[child] * expected(tree, row, known, child) for child in (left, right)]
    return float(sum(both) / weights[node])


def positive(tree: Any, node: int) -> float:
    """P(positive) in a node."""
    counts = tree.value[node][0]
    return float(counts[1] / counts.sum())


def goes_left(tree: Any, node: int, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which rows a node sends to its left child."""
    column = rows[:, tree.feature[node]]
    to_left = bool(tree.missing_go_to_left[node])
    return np.where(np.isnan(column), to_left, column <= tree.threshold[node])
