"""Of what is flagged, reasons name the features that exact Shapley values name."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from scoring.model import rounded
from scoring.reasons import TOP, explain
from stream_features.spec import parse
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.backfill import backfill
from streamscore.training.estimators import forest
from tests.tree_shap import by_definition, shapley

SHIPPED = Path(__file__).parents[2] / "src" / "features.toml"


class Trained(NamedTuple):
    """A forest, the training medians, and the held-out frauds among the 2 % that score highest: only what is
    flagged has reasons.
    """

    forest: RandomForestClassifier
    medians: np.ndarray
    frauds: np.ndarray

    def score(self, rows: np.ndarray) -> np.ndarray:
        return rounded(self.forest.predict_proba(rows)[:, 1].astype(np.float32))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The default forest, smaller, on the features that ship and transactions like the Handbook's."""
    path = tmp_path_factory.mktemp("shap") / "events.parquet"
    to_frame(simulate(Scale(500, 1000, 70, date(2024, 1, 1)), 2)).write_parquet(path)
    whole = backfill(parse(SHIPPED.read_text()), path)
    labels = whole.labels.cast(int).to_numpy() > 0
    half = len(labels) * 2 // 3
    small = forest().set_params(n_estimators=40, max_depth=10, n_jobs=1)
    small.fit(whole.features[:half], labels[:half])
    medians = np.nanmedian(whole.features[:half], axis=0)
    scores = small.predict_proba(whole.features[half:])[:, 1]
    flagged = labels[half:] & (scores >= np.quantile(scores, 0.98))
    return Trained(small, medians, whole.features[half:][flagged][:60])


def overlap(trained: Trained, chosen: Callable[[np.ndarray], list[list[int]]]) -> float:
    """The share of TreeSHAP's TOP features among those chosen, over the held-out frauds."""
    values = shapley(trained.forest, trained.frauds)
    best = [set(np.argsort(-row)[:TOP]) for row in values]
    return float(np.mean([len(b & set(c)) / TOP for b, c in zip(best, chosen(trained.frauds), strict=True)]))


def by_reasons(trained: Trained, medians: np.ndarray) -> Callable[[np.ndarray], list[list[int]]]:
    names = [str(n) for n in range(len(medians))]

    def chosen(rows: np.ndarray) -> list[list[int]]:
        found = explain(trained.score, names, medians.astype(np.float32), rows)
        return [[int(reason.feature) for reason in reasons] for reasons in found]

    return chosen


def test_the_shapley_values_are_exact() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 4)).astype(np.float32)
    rows[random.random(rows.shape) < 0.1] = np.nan
    labels = np.nan_to_num(rows[:, 0]) * np.nan_to_num(rows[:, 1]) + np.isnan(rows[:, 2]) > 0.3
    small: Any = RandomForestClassifier(3, max_depth=5, random_state=0).fit(rows, labels)
    values = shapley(small, rows[:6])
    one_by_one = [[by_definition(e.tree_, row) for e in small.estimators_] for row in rows[:6]]
    assert np.allclose(values, np.mean(one_by_one, axis=1), atol=1e-12)


def test_they_add_up_to_what_the_score_has_over_the_mean(trained: Trained) -> None:
    over = shapley(trained.forest, trained.frauds).sum(axis=1)
    base = trained.forest.predict_proba(trained.frauds)[:, 1] - over
    assert np.ptp(base) < 1e-9


def test_reasons_name_three_of_four_of_the_features_that_shapley_values_name(trained: Trained) -> None:
    assert len(trained.frauds) > 50
    assert overlap(trained, by_reasons(trained, trained.medians)) >= 0.75


def test_reasons_that_are_the_same_for_all_would_not_do(trained: Trained) -> None:
    """What the test above can tell: the three features that matter most to the forest, for every row."""
    values = shapley(trained.forest, trained.frauds)
    overall = [int(n) for n in np.argsort(-values.mean(axis=0))[:TOP]]
    assert overlap(trained, lambda rows: [overall] * len(rows)) < 0.7
