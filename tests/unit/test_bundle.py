"""A bundle is what its hashes say, or it is refused."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from common.errors import ModelRefusedError
from scoring import bundle as bundles
from scoring.model import Model
from tests import small_model


def files() -> tuple[bytes, bytes]:
    made = small_model.trained()
    return bundles.encode(made.bundle), made.model


def test_a_bundle_is_read_as_it_was_written() -> None:
    data, model = files()
    loaded = Model.load(data, model, bundles.sha256(data))
    assert loaded.bundle == small_model.bundle()
    assert bundles.encode(loaded.bundle) == data


def with_truncated_model(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    return data, model[:-10]


def with_another_model(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    return data, small_model.trained(seed=1).model


def with_truncated_bundle(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    return data[: len(data) // 2], model


def with_edited_thresholds(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    limits = bundles.Thresholds(review=0.0, block=1.0)
    return bundles.encode(msgspec.structs.replace(small_model.bundle(), thresholds=limits)), model


def with_another_format(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    return bundles.encode(bundles.seal(msgspec.structs.replace(small_model.bundle(), format=2))), model


def with_no_time(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    return edited(until="2026-02-30T00:00:00Z"), model


def with_a_time_of_no_zone(data: bytes, model: bytes) -> tuple[bytes, bytes]:
    return edited(since="2026-02-01T00:00:00"), model


def edited(**period: str) -> bytes:
    bundle = small_model.bundle()
    test = msgspec.structs.replace(bundle.test, **period)
    return bundles.encode(bundles.seal(msgspec.structs.replace(bundle, test=test)))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (with_truncated_model, "model.onnx: sha256 is"),
        (with_another_model, "model.onnx: sha256 is"),
        (with_truncated_bundle, "bundle.json: Input data was truncated"),
        (with_edited_thresholds, "content is not that of version"),
        (with_another_format, "format 2, this code reads 1"),
        (with_no_time, "'2026-02-30T00:00:00Z' is no RFC 3339 time"),
        (with_a_time_of_no_zone, "'2026-02-01T00:00:00' is no RFC 3339 time"),
    ],
)
def test_damaged_files_are_refused(damage, says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        Model.load(*damage(*files()))


def test_a_bundle_other_than_the_pointer_named_is_refused() -> None:
    data, model = files()
    with pytest.raises(ModelRefusedError, match="the pointer says"):
        Model.load(data, model, "0" * 64)


def graph(
    operator: str = "ReduceMean",
    domain: str = "",
    outputs: int = 1,
    external: bool = False,
    width: int = 4,
    **attributes: int,
) -> bytes:
    """A little graph that is nearly a model."""
    names = [f"p{n}" for n in range(outputs)]
    kind = TensorProto.INT64 if operator == "ArgMax" else TensorProto.FLOAT
    nodes = [helper.make_node(operator, ["x"], [n], domain=domain, **attributes) for n in names]
    made = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info(n, kind, None) for n in names],
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)],
        ir_version=10,
    )
    if external:
        weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="elsewhere.bin")
        made.graph.initializer.append(weight)
        made.graph.node[0].CopyFrom(helper.make_node("MatMul", ["x", "w"], ["p0"]))
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (b"not a graph", "does not load"),
        (graph("Magic", domain="elsewhere"), "does not load"),
        (graph(external=True), "External data path"),
        (graph(outputs=2), "1 inputs, 2 outputs"),
        (graph("Neg"), "gives 8 scores for 2 rows"),
        (graph("ArgMax", axis=1), "not a float32 probability each"),
        (graph("ReduceMean"), "gives 1 scores for 2 rows"),
        (graph("Identity", width=3), "does not score"),
    ],
)
def test_a_graph_that_is_not_a_score_of_these_features_is_refused(
    model: bytes, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.full(4, 0.01, np.float32).tofile("elsewhere.bin")  # what the graph with external weights asks for
    sealed = bundles.seal(msgspec.structs.replace(small_model.bundle(), model_sha256=bundles.sha256(model)))
    with pytest.raises(ModelRefusedError, match=says):
        Model.load(bundles.encode(sealed), model)


def test_a_batch_scores_as_its_rows_do() -> None:
    model, rows = small_model.model(), small_model.table(rows=300, seed=3).features
    one_by_one = [model.scores(rows[n : n + 1])[0] for n in range(300)]
    assert model.scores(rows).tolist() == one_by_one


def test_no_rows_have_no_scores() -> None:
    assert small_model.model().scores(np.empty((0, 4), np.float32)).shape == (0,)


def test_the_models_features_are_found_by_name_and_definition() -> None:
    spec, bundle = small_model.spec(), small_model.bundle()
    names, hashes = list(spec.feature_names), list(spec.definition_hashes)
    assert bundles.columns(bundle, ["other", *names[::-1]], ["x", *hashes[::-1]]) == [4, 3, 2, 1]
    assert bundles.columns(bundle, names[:-1], hashes[:-1]) is None
    assert bundles.columns(bundle, names, [*hashes[:-1], "changed"]) is None
