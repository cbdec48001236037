"""ONNX of LightGBM, XGBoost, a network and scikit-learn becomes bundles, or is refused in words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier

from common.errors import InvalidInputError, ModelRefusedError
from scoring.model import Model
from streamscore.training import bundles as folders
from streamscore.training.adopted import adopted
from streamscore.training.pack import Reference, pack
from tests import small_model

SCORES = Reference("theirs")
WIDTH = 4


def material() -> tuple[np.ndarray, np.ndarray]:
    table = small_model.table(rows=900)
    return table.features, table.labels.astype(int)


def lightgbm_model() -> tuple[onnx.ModelProto, Callable]:
    from lightgbm import LGBMClassifier

    rows, labels = material()
    made = LGBMClassifier(n_estimators=8, num_leaves=7, n_jobs=1, verbose=-1).fit(rows, labels)
    return converted(convert_lightgbm, made), lambda rows: made.predict_proba(rows)[:, 1]


def xgboost_model() -> tuple[onnx.ModelProto, Callable]:
    from xgboost import XGBClassifier

    rows, labels = material()
    made = XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1).fit(rows, labels)
    return converted(convert_xgboost, made), lambda rows: made.predict_proba(rows)[:, 1]


def converted(convert: Any, made: Any) -> onnx.ModelProto:
    inputs = [("input", FloatTensorType([None, WIDTH]))]
    return convert(made, initial_types=inputs, target_opset=15)


def with_a_zipmap() -> tuple[onnx.ModelProto, Callable]:
    """scikit-learn's usual export: labels, and a map of probabilities by class."""
    rows, labels = material()
    whole = np.nan_to_num(rows)
    made = GradientBoostingClassifier(n_estimators=5, random_state=0).fit(whole, labels)
    return to_onnx(made, whole[:1], target_opset=15), lambda rows: made.predict_proba(rows)[:, 1]


def network(kind: type = np.float32, squeeze: bool = False) -> tuple[onnx.ModelProto, Callable]:
    """Two layers; [n, 1], or [n] if squeezed."""
    random = np.random.default_rng(3)
    w1, w2 = random.normal(size=(WIDTH, 6)).astype(kind) / 50, random.normal(size=(6, 1)).astype(kind)

    def predicted(rows: np.ndarray) -> np.ndarray:
        hidden = np.maximum(rows.astype(np.float64) @ w1, 0)
        return 1 / (1 + np.exp(-(hidden @ w2)[:, 0]))

    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w2"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["d" if squeeze else "y"]),
        *([helper.make_node("Squeeze", ["d", "axis"], ["y"])] if squeeze else []),
    ]
    constants = {"w1": w1, "w2": w2} | ({"axis": np.array([1])} if squeeze else {})
    element = TensorProto.FLOAT if kind is np.float32 else TensorProto.DOUBLE
    return graph(nodes, constants, element=element), predicted


def graph(
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    *,
    element: int = TensorProto.FLOAT,
    shape: tuple = (None, WIDTH),
    output: tuple | None = None,
) -> onnx.ModelProto:
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", element, shape)],
        [helper.make_tensor_value_info("y", element, output)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


def files(folder: Path, model: onnx.ModelProto, predict: Callable, missing: float = 0.0) -> tuple[Path, Path]:
    """(model.onnx, features.parquet with the model's own predictions)."""
    table = small_model.table(rows=400, seed=7, missing=missing)
    small_model.write_features(folder / "features.parquet", table)
    scored = pl.read_parquet(folder / "features.parquet").with_columns(
        theirs=pl.Series(predict(table.features))
    )
    scored.write_parquet(folder / "features.parquet")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx", folder / "features.parquet"


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lightgbm_model, 0.2),
        (xgboost_model, 0.2),
        (with_a_zipmap, 0.0),
        (network, 0.0),
        (lambda: network(np.float64), 0.0),
        (lambda: network(squeeze=True), 0.0),
    ],
    ids=["LightGBM", "XGBoost", "ZipMap", "network", "network in float64", "network, flat output"],
)
def test_a_model_from_elsewhere_becomes_a_bundle(make: Callable, missing: float, tmp_path: Path) -> None:
    model, predict = make()
    made = pack(*files(tmp_path, model, predict, missing), small_model.spec(), tmp_path / "bundle", SCORES)
    assert folders.read(tmp_path / "bundle")[2] == made
    assert (made.train, made.test.rows, made.conversion.rows) == (None, 400, 400)
    assert made.estimator == "model.onnx"
    rows = small_model.table(rows=300, seed=9, missing=missing).features
    served = Model.load(*folders.read(tmp_path / "bundle")[:2]).raw_scores(rows)
    assert np.abs(served - predict(rows)).max() < 1e-5


def test_a_model_of_some_features_in_its_own_order_is_served_those(tmp_path: Path) -> None:
    weights = np.array([[0.02], [-0.1]], np.float32)
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Sigmoid", ["a"], ["y"])],
        {"w": weights},
        shape=(None, 2),
    )
    inputs = ("amount", "card_count_7d")
    places = [small_model.spec().feature_names.index(name) for name in inputs]

    def predict(rows: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(rows[:, places].astype(np.float64) @ weights)[:, 0]))

    made = pack(
        *files(tmp_path, model, predict), small_model.spec(), tmp_path / "bundle", Reference("theirs", inputs)
    )
    assert tuple(one.name for one in made.features) == inputs
    assert made.features[1].definition == small_model.spec().definition_hashes[places[1]]


def test_other_predictions_than_the_models_refuse_it_and_name_the_rows(tmp_path: Path) -> None:
    model, predict = network()
    paths = files(tmp_path, model, lambda rows: np.where(np.arange(len(rows)) == 17, 0.99, predict(rows)))
    with pytest.raises(
        ModelRefusedError, match=r"model.onnx: conversion: .* worst: row e17: trained 0.9900000"
    ):
        pack(*paths, small_model.spec(), tmp_path / "bundle", SCORES)
    assert not (tmp_path / "bundle").exists()


def external() -> onnx.ModelProto:
    model = network()[0]
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    return model


def two_outputs() -> onnx.ModelProto:
    model = network()[0]
    model.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, [None, 1]))
    return model


def two_inputs() -> onnx.ModelProto:
    model = network()[0]
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1]))
    return model


def one(operator: str, **how: Any) -> Callable[[], onnx.ModelProto]:
    domain = how.pop("domain", "")
    return lambda: graph([helper.make_node(operator, ["x"], ["y"], domain=domain)], {}, **how)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (external, r"keeps w1 in a file beside it \(external data\)"),
        (
            one("Magic", domain="elsewhere", output=(None, 1)),
            "needs the operator Magic of elsewhere, .* no standard",
        ),
        (two_inputs, r"has 2 inputs \(x, z\); export it with one, float32 \[n, 4\]"),
        (one("Sigmoid", shape=(None, 3)), r"input x is \[n, 3\], the features are \[n, 4\]; .* --inputs"),
        (one("Sigmoid", shape=(1, 4)), r"input x is \[1, 4\]: always 1 rows"),
        (one("Sigmoid", element=TensorProto.INT64), "input x is no tensor of float32 or float64"),
        (one("Sigmoid"), r"output y is \[n, 4\], not \[n, 1\], \[n\] or \[n, 2\]"),
        (two_outputs, "outputs of floats are: y, c; say with --probability"),
    ],
)
def test_what_cannot_be_served_is_refused_in_words(make: Callable, says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        adopted(make().SerializeToString(), WIDTH)


@pytest.mark.parametrize("data", [b"", b"no model at all", b"\x08\x07"])
def test_a_file_that_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="the file is no ONNX model"):
        adopted(data, WIDTH)


def test_the_output_that_is_named_is_taken() -> None:
    assert adopted(two_outputs().SerializeToString(), WIDTH, "y") == adopted(
        network()[0].SerializeToString(), WIDTH
    )


def no_probabilities(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(theirs=pl.col("theirs") * 3)


def no_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(theirs=pl.lit("high"))


def no_column(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop("theirs")


def no_scores(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(theirs=pl.lit(None).cast(pl.Float64))


@pytest.mark.parametrize(
    ("damage", "reference", "says"),
    [
        (no_probabilities, SCORES, "must be probabilities, from 0 to 1"),
        (no_numbers, SCORES, "column theirs is String, not numbers"),
        (no_column, SCORES, "no column theirs"),
        (no_scores, SCORES, "no labelled row has a score in column theirs"),
        (pl.DataFrame.clone, Reference("theirs", ("colour",)), "--inputs: colour: no such feature"),
        (pl.DataFrame.clone, Reference("theirs", ("amount", "amount")), "names a feature twice"),
    ],
)
def test_a_reference_that_proves_nothing_is_refused(
    damage: Callable, reference: Reference, says: str, tmp_path: Path
) -> None:
    model, features = files(tmp_path, *network())
    damage(pl.read_parquet(features)).write_parquet(features)
    with pytest.raises(InvalidInputError, match=says):
        pack(model, features, small_model.spec(), tmp_path / "bundle", reference)
    assert not (tmp_path / "bundle").exists()
