"""Whatever scikit-learn classifier is trained, its graph answers as it does: holes, large numbers and all."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from common.errors import InvalidInputError, ModelRefusedError
from scoring.model import Model
from streamscore.training.classifier import Classifier, fit_classifier
from streamscore.training.convert import graphs
from streamscore.training.estimators import describe, estimator
from streamscore.training.train import Recipe, fit
from tests import small_model

KINDS: dict[str, Any] = {
    "forest": RandomForestClassifier(8, random_state=0, n_jobs=2),
    "extra trees": ExtraTreesClassifier(8, random_state=0),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=10, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=8, random_state=0),
    "boosting, exponential": GradientBoostingClassifier(n_estimators=8, loss="exponential", random_state=0),
    "boosting, from zero": GradientBoostingClassifier(n_estimators=8, init="zero", random_state=0),
    "logistic": LogisticRegression(),
    "network": MLPClassifier((5,), max_iter=20, random_state=0),
    "bayes": GaussianNB(),
    "boosted stumps": AdaBoostClassifier(n_estimators=5, random_state=0),
}
HUGE = 1.76e9
"""Neighbouring float32 values are 128 apart here."""


def material() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows and labels to train on, and other rows with holes everywhere; the third column is huge."""
    table, others = small_model.table(rows=600), small_model.table(rows=900, seed=5).features
    for rows in (table.features, others):
        rows[:, 2] = HUGE + 1e5 * rows[:, 2]
    others[np.random.default_rng(0).random(others.shape) < 0.2] = np.nan
    return table.features, table.labels, others


def both(fitted: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What scikit-learn says, and what the first graph says that loads."""
    for graph in graphs(fitted, rows.shape[1]):
        with suppress(ModelRefusedError):
            return fitted.predict_proba(rows)[:, 1], Model(small_model.bundle(), graph).raw_scores(rows)
    raise AssertionError("no graph loads")


@pytest.mark.parametrize(
    ("kind", "calibration"),
    [(kind, None) for kind in KINDS]
    + list(itertools.product(["forest", "histogram boosting", "logistic"], ["isotonic", "sigmoid"])),
)
def test_the_graph_answers_as_the_classifier_does(kind: str, calibration: str | None) -> None:
    learn, labels, others = material()
    fitted = fit_classifier(Classifier(KINDS[kind]), calibration, learn, labels)
    trained, served = both(fitted, np.vstack([others, learn]))
    assert np.abs(trained - served).max() < 1e-6
    assert np.unique(served).size > 5


def test_calibration_makes_weighted_scores_probabilities_again() -> None:
    table = small_model.table(rows=3000, missing=0.0)
    means = {}
    for calibration in (None, "isotonic", "sigmoid"):
        weighted = Classifier(LogisticRegression(), positive_weight=None)
        fitted = fit_classifier(weighted, calibration, table.features, table.labels)
        means[calibration] = both(fitted, table.features)[1].mean()
    share = table.labels.mean()
    assert means[None] > 2 * share
    assert means["isotonic"] == pytest.approx(share, rel=0.1)
    assert means["sigmoid"] == pytest.approx(share, rel=0.1)


def test_a_calibrated_constant_is_a_constant() -> None:
    learn, labels, _ = material()
    stump = DecisionTreeClassifier(max_depth=1, min_samples_leaf=550)
    trained, served = both(fit_classifier(Classifier(stump), "isotonic", learn, labels), learn)
    assert np.allclose(trained, served, atol=1e-7)
    assert np.unique(served).size == 1


SAME = """
from tests import small_model
from tests.unit.test_convert import KINDS
from streamscore.training.train import Recipe, fit
for kind in ("forest", "logistic", "network"):
    recipe = Recipe(small_model.WINDOWS, estimator=KINDS[kind], calibration="isotonic")
    print(fit(small_model.table(rows=900), small_model.spec(), recipe).bundle.version)
"""


def test_the_same_input_gives_the_same_bundle_in_every_process() -> None:
    def versions(hash_seed: str, threads: str) -> bytes:
        apart = {"PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": threads}
        return subprocess.run(
            [sys.executable, "-c", SAME], env=os.environ | apart, check=True, capture_output=True
        ).stdout

    assert versions("1", "1") == versions("2", "2")


def test_the_bundle_says_how_it_was_made() -> None:
    recipe = Recipe(
        small_model.WINDOWS, estimator=LogisticRegression(C=0.5), positive_weight=12.0, calibration="sigmoid"
    )
    assert fit(small_model.table(), small_model.spec(), recipe).bundle.estimator == (
        "sklearn.linear_model.LogisticRegression(C=0.5); missing values as median and indicator, "
        "standard scale; positives weigh 12; sigmoid calibration"
    )


def test_an_estimator_is_found_by_its_import_path() -> None:
    made = estimator("sklearn.ensemble.ExtraTreesClassifier", '{"max_depth": 3}')
    assert (
        describe(Classifier(made), None)
        == "sklearn.ensemble.ExtraTreesClassifier(max_depth=3, random_state=0)"
    )


def fit_one(made: Any, **how: Any) -> Callable[[], object]:
    learn, labels, _ = material()
    calibration = how.pop("calibration", None)
    return lambda: fit_classifier(Classifier(made, **how), calibration, learn[:40], labels[:40])


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: estimator("sklearn.ensemble.Nothing"), "sklearn.ensemble.Nothing: module .* has no"),
        (lambda: estimator("nowhere.Forest"), "No module named 'nowhere'"),
        (lambda: estimator("Forest"), "Empty module name"),
        (lambda: estimator("math.floor"), "math.floor: is no scikit-learn estimator"),
        (lambda: estimator("sklearn.naive_bayes.GaussianNB", "{"), "--params: not JSON"),
        (lambda: estimator("sklearn.naive_bayes.GaussianNB", "[1]"), "--params: must be an object"),
        (lambda: estimator("sklearn.naive_bayes.GaussianNB", '{"depth": 1}'), "unexpected keyword argument"),
        (fit_one(estimator("sklearn.tree.DecisionTreeRegressor")), "is not a scikit-learn classifier"),
        (fit_one(LinearSVC()), "LinearSVC gives no probabilities"),
        (fit_one(DecisionTreeClassifier(max_depth=-1)), "cannot be trained: The 'max_depth' parameter"),
        (fit_one(KNeighborsClassifier(), positive_weight=2.0), "no sample weights"),
        (fit_one(LogisticRegression(), calibration="isotonic"), "needs at least 5 rows of either kind"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_in_one_line(act: Callable[[], object], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as refusal:
        act()
    assert "\n" not in str(refusal.value)
