"""A fitted classifier as an ONNX graph; `proof.prove` has the last word on it.

What goes before the estimator (missing values, scale) and after it (calibration) is written here in float64,
so large numbers lose nothing; trees are one operator (`trees`), every other estimator is skl2onnx's.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.isotonic import IsotonicRegression
from sklearn.tree import DecisionTreeClassifier

from common.errors import InvalidInputError
from streamscore.training.classifier import GRID, OFF_GRID, Classifier, named, parts
from streamscore.training.graph import INPUT, Graph, encoded
from streamscore.training.trees import add_trees, boosted, forest, histogram_boosted

Write = Callable[[Graph, str, Any], str]
"""Adds a fitted estimator, fed by float32 or float64 rows; the name of P(positive), float64 [n, 1]."""


def graphs(fitted: Any, width: int) -> Iterator[bytes]:
    """The ways to write a fitted classifier of `width` features, best first; the same bytes for the same one.

    InvalidInputError if there is none. Whether one is right shows only when it is run.
    """
    classifier, calibrator = parts(fitted)
    estimator = classifier.fitted_
    if calibrator is None and classifier.preparation_ is None and isinstance(estimator, _FORESTS):
        yield encoded(_plain_forest(estimator, width))
        return
    write = _written(estimator)
    for way in [write] if write else [_by_skl2onnx(np.float64), _by_skl2onnx(np.float32)]:
        graph = Graph(width)
        rows = INPUT if classifier.preparation_ is None else _prepared(graph, classifier)
        probability = way(graph, rows, estimator)
        if calibrator is not None:
            probability = _calibrated(graph, probability, calibrator)
        yield encoded(graph.model(graph.floats(probability)))


def _plain_forest(estimator: Any, width: int) -> onnx.ModelProto:
    """One operator in float32: shares of leaves add up to seven digits, and half the bytes."""
    graph = Graph(width)
    return graph.model(add_trees(graph, INPUT, forest(estimator), np.float32))


_FORESTS = (RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier)


def _written(estimator: Any) -> Write | None:
    """How to write trees; None for what skl2onnx is left."""
    if isinstance(estimator, _FORESTS):
        return lambda graph, rows, it: _sum_of(graph, rows, forest(it))
    if isinstance(estimator, HistGradientBoostingClassifier) and estimator.is_categorical_ is None:
        return lambda graph, rows, it: graph.op("Sigmoid", _sum_of(graph, rows, histogram_boosted(it)))
    if isinstance(estimator, GradientBoostingClassifier) and _start(estimator) is not None:
        return _gradient_boosted
    return None


def _gradient_boosted(graph: Graph, rows: str, estimator: Any) -> str:
    raw = _sum_of(graph, rows, boosted(estimator, _start(estimator) or 0.0))
    if estimator.loss == "exponential":
        raw = graph.op("Mul", raw, graph.constant(2.0))
    return graph.op("Sigmoid", raw)


def _start(estimator: GradientBoostingClassifier) -> float | None:
    """The raw prediction before the first tree; None if another model makes it."""
    if estimator.init == "zero":
        return 0.0
    if not isinstance(estimator.init_, DummyClassifier):
        return None
    prior = float(estimator.init_.class_prior_[1])
    odds = float(np.log(prior / (1 - prior)))
    return odds / 2 if estimator.loss == "exponential" else odds


def _sum_of(graph: Graph, rows: str, trees: Iterator[Any]) -> str:
    """In float64, of rows that scikit-learn's trees see as float32."""
    seen = rows if rows == INPUT else graph.floats(rows)
    return add_trees(graph, graph.doubles(seen), trees, np.float64)


def _by_skl2onnx(dtype: type) -> Write:
    def write(graph: Graph, rows: str, estimator: Any) -> str:
        from skl2onnx import to_onnx  # noqa: PLC0415 - two seconds that trees do not need

        try:
            model = to_onnx(
                estimator,
                np.zeros((1, estimator.n_features_in_), dtype),
                name="estimator",
                options={id(estimator): {"zipmap": False}},
                target_opset={"": 18, "ai.onnx.ml": 3},
            )
        except (RuntimeError, TypeError, NotImplementedError, ValueError, AttributeError) as error:
            raise InvalidInputError(f"{named(estimator)} cannot be converted to ONNX: {error}") from error
        cast = TensorProto.DOUBLE if dtype is np.float64 else TensorProto.FLOAT
        both = graph.include(model, graph.op("Cast", rows, to=cast), model.graph.output[1].name)
        return graph.doubles(graph.op("Gather", both, graph.constant([1], np.int64), axis=1))

    return write


def _prepared(graph: Graph, classifier: Classifier) -> str:
    """Medians where a value is missing, then where it was missing, all in standard scale: float64."""
    imputer, scaler = (step for _, step in classifier.preparation_.steps)  # type: ignore[union-attr]
    missing = graph.op("IsNaN", INPUT)
    filled = graph.op("Where", missing, graph.constant(imputer.statistics_), graph.doubles(INPUT))
    if len(told := imputer.indicator_.features_):
        picked = graph.op("Gather", missing, graph.constant(told, np.int64), axis=1)
        filled = graph.op("Concat", filled, graph.doubles(picked), axis=1)
    centred = graph.op("Sub", filled, graph.constant(scaler.mean_))
    return graph.op("Div", centred, graph.constant(scaler.scale_))


def _calibrated(graph: Graph, probability: str, calibrator: Any) -> str:
    """As `Classifier.decision_function`, then sigmoid(-(a·x + b)) or the line through isotonic's steps."""
    grid = graph.constant(GRID)
    shifted = graph.op("Add", graph.op("Mul", probability, grid), graph.constant(OFF_GRID))
    floored = graph.op("Div", graph.op("Floor", shifted), grid)
    bounded = graph.op("Clip", floored, graph.constant(1 / GRID), graph.constant(1 - 1 / GRID))
    rest = graph.op("Sub", graph.constant(1.0), bounded)
    odds = graph.op("Log", graph.op("Div", bounded, rest))
    if isinstance(calibrator, IsotonicRegression):
        return _through(graph, odds, calibrator.X_thresholds_, calibrator.y_thresholds_)
    raw = graph.op("Mul", odds, graph.constant(-calibrator.a_))
    return graph.op("Sigmoid", graph.op("Sub", raw, graph.constant(calibrator.b_)))


def _through(graph: Graph, x: str, xs: Any, ys: Any) -> str:
    """The line through the points, level beyond its ends: y0 + Σ slope · (x - xi, within the piece)."""
    if len(xs) == 1:
        return graph.op("Add", graph.op("Mul", x, graph.constant(0.0)), graph.constant(ys[0]))
    lengths = np.diff(xs)
    gone = graph.op("Max", graph.op("Sub", x, graph.constant(xs[:-1])), graph.constant(0.0))
    within = graph.op("Min", gone, graph.constant(lengths))
    risen = graph.op("MatMul", within, graph.constant((np.diff(ys) / lengths)[:, np.newaxis]))
    return graph.op("Add", risen, graph.constant(ys[0]))
