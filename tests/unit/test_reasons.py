"""Reasons: the features whose ordinary value would lower the score most."""

import numpy as np

from scoring.reasons import MOST_CHARACTERS, Reason, explain, tell
from stream_features.spec import Feature
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
    assert calls == [7 * 9 + 1]
    assert explain(counted, NAMES, MEDIANS, np.empty((0, 4), np.float32)) == []
    assert len(calls) == 1


def test_of_two_features_that_say_the_same_both_are_reasons() -> None:
    def either(rows: np.ndarray) -> np.ndarray:
        return np.where(rows[:, :2].max(axis=1) > 1, 0.9, 0.1)

    (reasons,) = explain(either, NAMES, MEDIANS, np.array([[2, 2, 1, 1]], np.float32))
    half = round(float(np.log(9)), 4)
    assert [(reason.feature, reason.contribution) for reason in reasons] == [("a", half), ("b", half)]


def test_a_missing_value_can_be_the_reason() -> None:
    model, rows = small_model.model(), small_model.table().features
    rows = rows[np.isnan(rows[:, 3]) & (rows[:, 0] < 200)]
    row = rows[[model.scores(rows).argmax()]]
    names = [feature.name for feature in model.bundle.features]
    (reasons,) = explain(model.scores, names, model.medians(), row)
    assert ("card_mean_1d", None) in [(reason.feature, reason.value) for reason in reasons]


def test_a_value_beyond_float32_is_no_number_that_a_table_takes() -> None:
    (reasons,) = explain(logistic, NAMES, MEDIANS, np.array([[np.inf, 1, 1, 1]], np.float32))
    assert [(reason.feature, reason.value) for reason in reasons] == [("a", None)]


def test_a_row_whose_score_is_no_number_has_no_reasons() -> None:
    rows = np.array([[np.nan, 1, 1, 1], [2, 1, 1, 1]], np.float32)
    lost, explained = explain(logistic, NAMES, MEDIANS, rows)
    assert lost == []
    assert [reason.feature for reason in explained] == ["a"]


def test_a_reason_is_told_in_the_words_of_its_feature() -> None:
    feature = Feature("f", "mean", "", reason="{name}: {value} against {median} ({contribution})")
    assert tell(Reason("f", 12.5, 3.0, 1.256), feature).text == "f: 12.50 against 3 (+1.26)"
    assert tell(Reason("f", None, None, 0.1), feature).text == "f: missing against missing (+0.10)"
    assert tell(Reason("f", 12.5, 3.0, 1.0), Feature("f", "mean", "")).text == "f is 12.50, usually 3"


def test_a_flag_is_told_as_yes_or_no() -> None:
    night = Feature("night", "hour_between", "", reason="at night: {value}, usually {median}")
    assert tell(Reason("night", 1.0, 0.0, 1.0), night).text == "at night: yes, usually no"
    assert tell(Reason("night", 0.0, None, 1.0), night).text == "at night: no, usually missing"


def test_a_text_that_grows_too_long_is_cut() -> None:
    long = Feature("f" * 100, "mean", "", reason="{name}" * 30)
    text = tell(Reason(long.name, 1.0, 1.0, 1.0), long).text
    assert (len(text), text[-2:]) == (MOST_CHARACTERS, "f…")
