"""Training: ordered by time, missing values kept, proven, and the same twice."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from common.errors import InvalidInputError, ModelRefusedError
from scoring import bundle as bundles
from scoring.bundle import Thresholds
from scoring.model import Model
from streamscore.training import bundles as folders
from streamscore.training.baselines import baseline
from streamscore.training.classifier import Classifier, fit_classifier
from streamscore.training.convert import graphs
from streamscore.training.labelled import Table, read_table
from streamscore.training.proof import prove
from streamscore.training.split import DAY_MS, Windows, split
from streamscore.training.thresholds import Alerts, propose
from streamscore.training.train import Recipe, fit, train
from tests import small_model

SMALL = Recipe(small_model.WINDOWS, estimator=RandomForestClassifier(10, random_state=0))
HALVES = Thresholds(review=0.5, block=0.9)


def converted(estimator: object, rows: np.ndarray, labels: np.ndarray) -> tuple[object, Callable]:
    """What was fitted, and how ONNX Runtime scores rows with the best of its graphs."""
    fitted = fit_classifier(Classifier(estimator), None, rows, labels)
    return fitted, Model(small_model.bundle(), next(iter(graphs(fitted, rows.shape[1])))).raw_scores


def test_the_same_input_gives_the_same_bundle_whatever_the_number_of_threads() -> None:
    many = RandomForestClassifier(10, random_state=0, n_jobs=2)
    one = fit(small_model.table(), small_model.spec(), SMALL)
    two = fit(small_model.table(), small_model.spec(), Recipe(small_model.WINDOWS, estimator=many))
    assert one.bundle == two.bundle
    assert one.model == two.model


def test_a_forest_scores_rows_with_missing_values_as_scikit_learn_does() -> None:
    rows = small_model.table()
    forest, served = converted(RandomForestClassifier(20, random_state=1), rows.features, rows.labels)
    holes = small_model.table(seed=5).features
    holes[np.random.default_rng(0).random(holes.shape) < 0.3] = np.nan
    difference = forest.predict_proba(holes)[:, 1] - served(holes)
    assert np.abs(difference).max() < 1e-6


@pytest.mark.parametrize("low", [np.float32(1.7e9), np.nextafter(np.float32(1.7e9), np.float32(np.inf))])
def test_a_forest_splits_between_neighbouring_floats_where_scikit_learn_does(low: np.float32) -> None:
    rows = np.repeat(np.array([[low], [np.nextafter(low, np.float32(np.inf))]], np.float32), 40, axis=0)
    rows = np.hstack([rows, np.zeros((80, 3), np.float32)])
    labels = np.arange(80) >= 40
    forest, served = converted(RandomForestClassifier(5, random_state=0, max_features=None), rows, labels)
    assert (served(rows) == forest.predict_proba(rows)[:, 1]).all()


def test_a_tree_without_a_split_is_a_constant() -> None:
    rows = small_model.table(rows=200)
    stumps = RandomForestClassifier(3, max_depth=1, min_samples_leaf=150, random_state=0)
    forest, served = converted(stumps, rows.features, rows.labels)
    assert np.allclose(served(rows.features), forest.predict_proba(rows.features)[:, 1], atol=1e-6)


@pytest.mark.parametrize("kind", [LogisticRegression, HistGradientBoostingClassifier])
def test_other_estimators_become_bundles_too(kind: type) -> None:
    table = small_model.table(missing=0.0)
    made = fit(table, small_model.spec(), Recipe(estimator=kind()))
    assert made.bundle.conversion.flips == 0
    assert made.bundle.estimator.startswith(f"sklearn.{kind.__module__.split('.')[1]}")


def test_a_conversion_that_flips_a_decision_is_refused_and_names_the_row() -> None:
    trained, onnx_runtime = np.array([0.1, 0.5]), np.array([0.1, 0.499999], np.float32)
    with pytest.raises(
        ModelRefusedError, match=r"1 of 2 rows are decided otherwise.*row 1: trained 0.5000000"
    ):
        prove(trained, onnx_runtime, HALVES)


def test_a_conversion_that_differs_without_flipping_is_refused_too() -> None:
    with pytest.raises(ModelRefusedError, match="0 of 2 rows are decided otherwise, largest difference"):
        prove(np.array([0.1, 0.2]), np.array([0.1, 0.20002], np.float32), HALVES)


def test_not_a_number_is_no_proof() -> None:
    with pytest.raises(ModelRefusedError):
        prove(np.array([0.1]), np.array([np.nan], np.float32), HALVES)


def test_train_comes_before_the_gap_and_the_gap_before_test() -> None:
    times = np.arange(0, 60 * DAY_MS, DAY_MS // 4)
    parts = split(times, Windows(28 * DAY_MS, 7 * DAY_MS, 7 * DAY_MS))
    train_times, test_times = times[parts.train(times)], times[parts.test(times)]
    assert test_times.min() - train_times.max() > 7 * DAY_MS
    assert test_times.max() == times.max()
    assert train_times.max() - train_times.min() <= 28 * DAY_MS
    assert parts.notes == ()


def test_a_short_history_is_divided_and_says_so() -> None:
    times = np.arange(0, 10 * DAY_MS, DAY_MS // 4)
    parts = split(times, small_model.WINDOWS)
    assert parts.train(times).sum() > 2 * parts.test(times).sum() > 0
    assert "too short for a gap of 7 days" in parts.notes[0]


def test_proposed_thresholds_are_reached_by_at_most_the_share_asked_for() -> None:
    scores = np.round(np.random.default_rng(0).beta(1, 20, 5000), 6)
    limits = propose(scores, Alerts(review_share=0.02, block_share=0.005))
    assert 0.018 < (scores >= limits.review).mean() <= 0.02
    assert 0.004 < (scores >= limits.block).mean() <= 0.005


def test_equal_scores_alert_nobody_rather_than_everybody() -> None:
    assert propose(np.full(100, 0.3), Alerts()) == Thresholds(review=1.0, block=1.0)
    assert propose(np.full(100, 1.0), Alerts()).review > 1


def test_a_baseline_counts_every_value_once() -> None:
    values = np.array([0, 0, 0, 0, 1, 2, 3, np.nan] * 50 + list(np.linspace(0, 9, 100)), np.float32)
    made = baseline("x", values)
    assert sum(made.counts) == len(values)
    assert made.counts[-1] == 50
    assert len(made.counts) == len(made.edges) + 2


def test_a_binary_feature_has_a_bin_for_either_value() -> None:
    made = baseline("x", np.array([0, 0, 1, 0], np.float32))
    assert made.counts == (0, 3, 1, 0, 0)


def test_train_reads_a_features_file_and_writes_a_whole_bundle(tmp_path: Path) -> None:
    small_model.write_features(tmp_path / "features.parquet", small_model.table())
    made = train(tmp_path / "features.parquet", small_model.spec(), tmp_path / "bundle", SMALL)
    assert folders.read(tmp_path / "bundle")[2] == made.bundle
    assert made.bundle.metrics["roc_auc"] > 0.7
    assert {sum(f.baseline.counts) for f in made.bundle.features} == {made.bundle.test.rows}
    assert made.bundle.spec_sha256 == small_model.spec().sha256
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    onnx.checker.check_model(onnx.load_from_string(made.model))


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    small_model.write_features(path, small_model.table(rows=100))
    frame = pl.read_parquet(path)
    unknown = pl.when(pl.int_range(pl.len()) < 30).then(None).otherwise(pl.col("fraud"))
    frame.with_columns(unknown.alias("fraud")).write_parquet(path)
    assert len(read_table(path, small_model.spec()).labels) == 70


def test_times_that_are_integers_are_epoch_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    rows = small_model.table(rows=100)
    small_model.write_features(path, rows)
    pl.read_parquet(path).with_columns(pl.col("at").dt.epoch("ms")).write_parquet(path)
    assert (read_table(path, small_model.spec()).times == rows.times).all()


def break_nothing_there(path: Path) -> None:
    path.unlink()


def break_not_parquet(path: Path) -> None:
    path.write_text("id,at\n")


def break_no_column(path: Path) -> None:
    pl.read_parquet(path).drop("card_mean_1d").write_parquet(path)


def break_infinite(path: Path) -> None:
    pl.read_parquet(path).with_columns(amount=pl.lit(float("inf")).cast(pl.Float32)).write_parquet(path)


def break_no_labels(path: Path) -> None:
    pl.read_parquet(path).with_columns(fraud=pl.lit(None).cast(pl.Boolean)).write_parquet(path)


def break_one_kind(path: Path) -> None:
    pl.read_parquet(path).with_columns(fraud=pl.lit(False)).write_parquet(path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (break_nothing_there, "no such file"),
        (break_not_parquet, "not a Parquet file"),
        (break_no_column, "no column card_mean_1d"),
        (break_infinite, "amount holds infinite values"),
        (break_no_labels, "no labelled rows"),
        (break_one_kind, "0 of them positive"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_refused_and_nothing_is_written(
    tmp_path: Path, damage, says: str
) -> None:
    path = tmp_path / "features.parquet"
    small_model.write_features(path, small_model.table())
    damage(path)
    with pytest.raises(InvalidInputError, match=says):
        train(path, small_model.spec(), tmp_path / "bundle", SMALL)
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "thesis.txt").write_text("mine")
    made = small_model.trained()
    with pytest.raises(InvalidInputError, match="is no bundle"):
        folders.write(made.bundle, made.model, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "thesis.txt").read_text() == "mine"


def test_medians_are_values_that_occurred() -> None:
    rows = small_model.table(rows=400)
    made = fit(Table(rows.times, rows.features, rows.labels), small_model.spec(), SMALL)
    assert float(made.bundle.features[1].median or 0).is_integer()
    assert made.bundle.version == bundles.seal(made.bundle).version
