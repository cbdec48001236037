"""What a new model must show on held-out rows: labels that mean nothing never pass, a better model does."""

import numpy as np
import pytest

from scoring.model import Model
from scoring.policy import Policy
from scoring.retrain import Retrain
from streamscore.retraining.agreement import agreement
from streamscore.retraining.evaluate import held_out, in_words, judged
from streamscore.training.estimators import forest
from streamscore.training.labelled import Table
from streamscore.training.thresholds import Alerts
from streamscore.training.train import Recipe, fit
from tests import small_model
from tests.small_model import WINDOWS, table

POLICY = Policy("0" * 16)


def trained(rows: Table, seed: int = 0) -> Model:
    few = forest().set_params(n_estimators=10, n_jobs=1, random_state=seed)
    made = fit(rows, small_model.spec(), Recipe(WINDOWS, Alerts(0.1, 0.02), estimator=few))
    return Model(made.bundle, made.model)


def shuffled(rows: Table, seed: int) -> Table:
    labels = np.random.default_rng(seed).permutation(rows.labels)
    return Table(rows.times, rows.features, labels)


def failed(rows: Table, model: Model, champion: Model | None, policy: Policy = POLICY) -> list[str]:
    labels = held_out(rows, small_model.spec(), model, champion, policy)
    version = champion.version if champion else ""
    return [check.name for check in judged(labels, model.version, version, policy) if not check.held]


@pytest.mark.parametrize("seed", range(8))
def test_labels_that_were_shuffled_never_pass_with_or_without_a_champion(seed: int) -> None:
    rows = shuffled(table(), seed)
    model = trained(rows)
    assert failed(rows, model, None) == ["learned"]
    assert failed(rows, model, small_model.model()) == ["learned"]


def test_the_first_model_passes_if_it_learned_something() -> None:
    assert failed(table(), small_model.model(), None) == []


def test_a_better_one_than_the_champion_passes() -> None:
    poor = trained(shuffled(table(), 1))
    assert failed(table(), small_model.model(), poor) == []


def test_a_worse_one_than_the_champion_does_not() -> None:
    rows = table()
    hardly = Table(
        rows.times, rows.features, np.where(rows.times % 3 > 0, shuffled(rows, 2).labels, rows.labels)
    )
    assert failed(rows, trained(hardly), small_model.model()) == ["average precision", "ROC AUC", "gain"]


def test_one_that_gains_less_than_is_asked_for_does_not() -> None:
    poor = trained(shuffled(table(), 1))
    policy = POLICY._replace(retrain=Retrain(gain=0.99))
    assert failed(table(), small_model.model(), poor, policy) == ["gain"]


def test_the_same_model_again_is_nothing_new() -> None:
    model = small_model.model()
    assert failed(table(), model, model) == ["new"]


def test_rows_that_trained_the_champion_are_not_held_out() -> None:
    late = table(days=60, seed=5)
    model = trained(late)
    whole = held_out(late, small_model.spec(), model, None, POLICY)
    beside = held_out(late, small_model.spec(), model, model, POLICY)
    assert whole.matured == beside.matured > 0, "its own test rows trained neither"
    early = held_out(table(), small_model.spec(), small_model.model(), model, POLICY)
    assert early.matured == 0
    assert [c.name for c in judged(early, "1", "2", POLICY) if not c.held] == ["learned"]


def test_why_it_failed_is_told_in_a_line_with_what_mends_it() -> None:
    rows = shuffled(table(), 0)
    labels = held_out(rows, small_model.spec(), trained(rows), None, POLICY)
    told = in_words("1f2e", judged(labels, "1f2e", "", POLICY))
    assert told.startswith("1f2e: learned failed: ROC AUC 0.")
    assert "is no chance" in told


def test_agreement_is_bit_for_bit_and_names_the_features_that_differ() -> None:
    served = np.array([[1, np.nan], [2, 3], [4, 5], [6, 7]], "<f4")
    raw = served.copy()
    raw[1, 1] = np.nextafter(np.float32(3), np.float32(4))
    labels = np.array([True, False, False, False])
    found = agreement(served, raw, labels, ~labels, ("a", "b"))
    assert (found.events, found.vectors, found.labels) == (4, 0.75, 0.0)
    assert found.differing == {"b": 1}
    nothing = agreement(served[:0], raw[:0], labels[:0], labels[:0], ("a", "b"))
    assert (nothing.vectors, nothing.labels) == (1.0, 1.0)
