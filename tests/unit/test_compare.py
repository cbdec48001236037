"""A window against its baseline, end to end on small numbers."""

import math

import numpy as np
import pytest

from monitor import compare, decided, fared
from monitor.bins import Bins
from monitor.decided import Decided, DecidedSketch, Layout
from monitor.labelled import Labelled, observe_labels
from monitor.sketch import zero
from scoring import bundle as bundles
from scoring.bundle import Baseline, Bundle, Feature

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
LAYOUT = Layout(
    (Bins("steady", EDGES, centre=0.5, spread=0.25), Bins("moved", EDGES, centre=0.5, spread=0.25)),
    Bins("score", EDGES, centre=0.5, spread=0.25),
)
UNIFORM = Baseline(edges=EDGES, counts=(0, 250, 250, 250, 250, 0, 0), mean=0.5, std=0.25)
PERIOD = bundles.Period(since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z", rows=0, positives=0)
BUNDLE = Bundle(
    estimator="none",
    spec_sha256="",
    model_sha256="",
    features=tuple(Feature(name=n, definition="", median=0.5, baseline=UNIFORM) for n in ("steady", "moved")),
    score=UNIFORM,
    thresholds=bundles.Thresholds(review=0.5, block=0.9),
    train=PERIOD,
    test=PERIOD,
    metrics={},
    conversion=bundles.Conversion(rows=0, max_difference=0.0, flips=0),
)
SPREAD = np.linspace(0.0, 0.999, 400)


def window(moved: np.ndarray) -> DecidedSketch:
    rows = Decided(
        np.column_stack([SPREAD, moved]),
        SPREAD,
        ["approve"] * 300 + ["block"] * 100,
        np.linspace(100, 500, 400),
    )
    return decided.observe(LAYOUT, rows)


def test_features_come_by_falling_psi_and_the_moved_one_first() -> None:
    found = compare.compare(BUNDLE, window(SPREAD + 0.25))
    assert [row.name for row in found.features] == ["moved", "steady"]
    moved, steady = found.features
    assert moved.psi > 0.2 > steady.psi
    assert (moved.beyond_noise, steady.beyond_noise) == (True, False)
    assert moved.mean_shift == pytest.approx(1.0, abs=0.01)
    assert steady.mean_shift == pytest.approx(0.0, abs=0.01)
    assert moved.out_of_range == pytest.approx(0.25, abs=0.01)
    assert steady.std_ratio == pytest.approx(SPREAD.std() / 0.25, abs=0.01)


def test_a_feature_that_goes_missing_is_named_by_its_share_and_its_psi() -> None:
    found = compare.compare(BUNDLE, window(np.where(SPREAD < 0.5, np.nan, SPREAD)))
    moved = found.features[0]
    assert moved.name == "moved"
    assert moved.missing == pytest.approx(0.5, abs=0.01)
    assert moved.missing_reference == 0.0
    assert moved.psi > 1.0


def test_the_alert_rate_and_the_latency_are_of_all_decisions() -> None:
    found = compare.compare(BUNDLE, window(SPREAD))
    assert (found.decided, found.alert_rate) == (400, 0.25)
    assert 300 <= found.latency_p50_ms <= 300 * 1.2
    assert 496 <= found.latency_p99_ms <= 496 * 1.2


def test_labels_say_how_the_decisions_fared() -> None:
    labels = Labelled(
        np.array([True, True, False, False]),
        np.array([0.9, 0.2, 0.8, 0.1]),
        ["block", "approve", "review", "approve"],
        np.array([100.0, 25.5, 7.0, 3.0]),
    )
    found = fared.fared([observe_labels(labels)])
    assert found is not None
    assert (found.labelled, found.positives) == (4, 2)
    assert (found.precision, found.recall, found.alert_rate) == (0.5, 0.5, 0.5)
    assert found.roc_auc.value == 0.75
    assert found.brier == pytest.approx((0.1**2 + 0.8**2 + 0.8**2 + 0.1**2) / 4, abs=1e-5)
    assert found.rmse == pytest.approx(found.brier**0.5)
    assert found.mae == pytest.approx((0.1 + 0.8 + 0.8 + 0.1) / 4, abs=1e-5)
    assert (found.amount_caught, found.amount_missed, found.amount_flagged_wrongly) == (100.0, 25.5, 7.0)


def test_an_empty_window_is_all_unknown_and_not_enough() -> None:
    found = compare.compare(BUNDLE, zero(LAYOUT))
    assert (found.decided, fared.fared([])) == (0, None)
    assert all(math.isnan(row.psi) and not row.beyond_noise for row in (found.score, *found.features))
    assert math.isnan(found.latency_p50_ms)
