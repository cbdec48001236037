"""Reasons: the features whose ordinary value would lower the score most."""

import numpy as np

from scoring.reasons import Reason, explain
from tests import small_model

NAMES = ["a", "b", "c", "d"]
MEDIANS = np.array([1, 1, 1, 1], np.float32)


def logistic(rows: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(rows @ np.array([2.0, 1.0, 0.0, -1.0]) - 4)))


def test_contributions_are_differences_of_log_odds_strongest_first() -> None:
    reasons = explain(logistic, NAMES, MEDIANS, np.array([[2, 3, 9, 0]], np.float32))
    assert reasons == [[Reason("a", 2.0, 1.0, 2.0), Reason("b", 3.0, 1.0, 2.0), Reason("d", 0.0, 1.0, 1.0)]]


def test_what_lowers_the_score_is_no_reason() -> None:
    assert explain(logistic, NAMES, MEDIANS, np.array([[0, 1, 1, 2]], np.float32)) == [[]]


def test_all_rows_take_one_call() -> None:
    calls = []

    def counted(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        return logistic(rows)

    explain(counted, NAMES, MEDIANS, np.ones((7, 4), np.float32))
    assert calls == [7 * 5]
    assert explain(counted, NAMES, MEDIANS, np.empty((0, 4), np.float32)) == []
    assert len(calls) == 1


def test_a_missing_value_can_be_the_reason() -> None:
    model, rows = small_model.model(), small_model.table().features
    rows = rows[np.isnan(rows[:, 3]) & (rows[:, 0] < 200)]
    row = rows[[model.scores(rows).argmax()]]
    names = [feature.name for feature in model.bundle.features]
    (reasons,) = explain(model.scores, names, model.medians(), row)
    assert ("card_mean_1d", None) in [(reason.feature, reason.value) for reason in reasons]
