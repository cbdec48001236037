"""Performance from binned labels against scikit-learn on the raw scores."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from monitor import fared, labelled, performance
from monitor.labelled import LabelSketch, by_score, halves

cases = st.lists(
    st.tuples(
        st.booleans(), st.sampled_from([0.0, 0.01, 0.5, 0.5001, 0.99, 1.0]) | st.floats(0, 1, width=32)
    ),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({label for label, _ in rows}) == 2)
Cases = list[tuple[bool, float]]


def observed(rows: Cases) -> LabelSketch:
    labels = np.array([label for label, _ in rows])
    scores = np.array([score for _, score in rows], dtype=np.float64)
    nothing = np.full(len(rows), np.nan)
    return labelled.observe_labels(labelled.Labelled(labels, scores, ["approve"] * len(rows), nothing))


@given(cases)
def test_roc_auc_from_bins_is_within_its_stated_error_of_the_exact_one(rows: Cases) -> None:
    labels, scores = zip(*rows, strict=True)
    binned = performance.roc_auc(*by_score(observed(rows)))
    assert abs(binned.value - metrics.roc_auc_score(labels, scores)) <= binned.error + 1e-12


@given(cases)
def test_average_precision_from_bins_is_within_its_stated_error_of_the_exact_one(rows: Cases) -> None:
    labels, scores = zip(*rows, strict=True)
    binned = performance.average_precision(*by_score(observed(rows)))
    assert abs(binned.value - metrics.average_precision_score(labels, scores)) <= binned.error + 1e-12


@given(cases)
def test_brier_from_sums_is_the_exact_one_to_the_sums_resolution(rows: Cases) -> None:
    labels, scores = zip(*rows, strict=True)
    made = observed(rows)
    binned = performance.brier(
        len(rows),
        sum(labels),
        made.part("score_squares").sum() / 2**20,
        halves(made, "scores")[1].sum() / 2**20,
    )
    assert binned == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-5)


def test_the_fine_grid_keeps_the_error_small_where_fraud_lives() -> None:
    random = np.random.default_rng(3)
    labels = random.random(20_000) < 0.01
    scores = np.clip(1 / (1 + np.exp(-(random.normal(-5, 1.5, 20_000) + 3 * labels))), 0, 1)
    rows = list(zip(labels.tolist(), scores.tolist(), strict=True))
    assert performance.roc_auc(*by_score(observed(rows))).error < 0.01


def test_without_both_classes_there_is_no_auc() -> None:
    assert math.isnan(performance.roc_auc([1, 2], [0, 0]).value)
    assert math.isnan(performance.average_precision([1, 2], [0, 0]).value)
    assert math.isnan(performance.brier(0, 0, 0.0, 0.0))


def test_a_perfectly_calibrated_score_has_no_calibration_error() -> None:
    # two cells of ten: mean score 0.2 with 2 positives, mean score 0.9 with 9
    assert performance.calibration_error([8, 1], [2, 9], [2.0, 9.0]) == pytest.approx(0)
    assert performance.calibration_error([8, 1], [2, 9], [4.0, 9.0]) == pytest.approx(2 / 20)


@given(cases)
def test_mean_absolute_and_root_mean_squared_errors_are_sklearns(rows: Cases) -> None:
    made = fared.fared([observed(rows)])
    assert made is not None
    labels, scores = zip(*rows, strict=True)
    assert made.mae == pytest.approx(metrics.mean_absolute_error(labels, scores), abs=1e-5)
    assert made.rmse == pytest.approx(metrics.root_mean_squared_error(labels, scores), abs=3e-3)
    assert made.label_rate == pytest.approx(sum(labels) / len(labels))


def test_roc_auc_noise_is_what_samples_show() -> None:
    random = np.random.default_rng(8)
    found = [
        metrics.roc_auc_score(
            [0] * 400 + [1] * 40, np.r_[random.normal(0, 1, 400), random.normal(1.5, 1, 40)]
        )
        for _ in range(400)
    ]
    noise = performance.roc_auc_noise(float(np.mean(found)), 400, 40)
    assert 0.95 * np.std(found) < noise < 1.4 * np.std(found), "of exponential scores: rather too large"
