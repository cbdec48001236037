"""What raises an alarm and what does not, on simulated windows judged by the schedule's own code."""

import numpy as np
import pytest

from monitor.judge import MEAN, MISSING, PREDICTION_RATE, PSI, SCORE
from monitor.look import Looked, look
from monitor.tally import Stored
from monitor.times import DAY_S, HOUR_S, WEEK_S, WINDOW_S
from tests import quiet_days
from tests.quiet_days import MONDAY_S, SHIFTS, counted, payments, subject, trained

NOON_S = MONDAY_S + 8 * DAY_S + 12 * HOUR_S
A_WINDOW = 4_000


@pytest.mark.parametrize("seed", [1, 2])
def test_thirty_quiet_days_raise_nothing(seed: int) -> None:
    """Nights of two payments a window, weekends with larger amounts, the model's first week among them."""
    windows = quiet_days.days(30, seed)
    first_run_s = MONDAY_S + HOUR_S + seed * WINDOW_S
    model, judged = subject(trained()), 0
    for read in quiet_days.reads(windows, first_run_s, MONDAY_S + 30 * DAY_S, step_s=13 * WINDOW_S):
        looked = look(model, read)
        judged += looked.verdict.judged
        assert looked.verdict.findings == (), read.until
    assert judged > 200


def test_a_night_too_quiet_to_judge_is_not_judged() -> None:
    windows = quiet_days.days(2, 4)
    [read] = quiet_days.reads(windows, MONDAY_S + DAY_S + 4 * HOUR_S, MONDAY_S + DAY_S + 4 * HOUR_S)
    looked = look(subject(trained()), read)
    assert 0 < looked.whole.comparison.decided < 200
    assert (looked.verdict.judged, looked.verdict.findings) == (False, ())


def test_a_weekend_that_differs_is_drift_from_the_baseline_and_not_from_last_weekend() -> None:
    windows = quiet_days.days(14, 5, weekend=2.5)
    saturday_noon_s = MONDAY_S + 12 * DAY_S + 13 * HOUR_S
    [read] = quiet_days.reads(windows, saturday_noon_s, saturday_noon_s)
    assert look(subject(trained(), "baseline"), read).verdict.features == ("amount",)
    seasonal = look(subject(trained()), read)
    assert seasonal.whole.comparison.reference == "seasonal"
    assert (seasonal.verdict.judged, seasonal.verdict.findings) == (True, ())


def after_two_windows(shift: str, reference: str, *, size: int = A_WINDOW) -> Looked:
    """An hour whose last window is broken whole, and the one before it from its middle on, at the run after
    it; and the same hour a week ago, when nothing was.
    """
    random = np.random.default_rng(7)
    broken, factor = SHIFTS[shift]
    windows: list[Stored] = []
    for start_s in range(NOON_S - HOUR_S, NOON_S, WINDOW_S):
        windows.append(counted(trained(), start_s - WEEK_S, payments(start_s - WEEK_S, size, random)))
        of_it = {NOON_S - WINDOW_S: size, NOON_S - 2 * WINDOW_S: size // 2}.get(start_s, 0)
        before = payments(start_s, size - of_it, random)
        after = broken(payments(start_s, of_it, random, frauds=0.01 * factor))
        both = {name: np.concatenate([before[name], after[name]]) for name in before}
        windows.append(counted(trained(), start_s, both))
    [read] = quiet_days.reads(windows, NOON_S, NOON_S)
    return look(subject(trained(), reference), read)


@pytest.mark.parametrize("reference", ["seasonal", "baseline"])
def test_a_feature_scaled_by_half_is_named_within_two_windows(reference: str) -> None:
    looked = after_two_windows("scaled", reference)
    assert looked.verdict.features == ("amount",)
    assert {finding.kind for finding in looked.verdict.findings} <= {PSI, MEAN}
    assert not looked.verdict.retrain, "two windows advise nothing"


@pytest.mark.parametrize("reference", ["seasonal", "baseline"])
def test_a_feature_gone_missing_is_named_within_two_windows(reference: str) -> None:
    looked = after_two_windows("gone", reference)
    assert looked.verdict.features == ("recent",)
    [missing] = [finding for finding in looked.verdict.findings if finding.kind == MISSING]
    assert (missing.baseline, missing.now) == (0.0, 1.0)
    assert not looked.verdict.retrain, "a broken feed is mended, not learnt"


@pytest.mark.parametrize("reference", ["seasonal", "baseline"])
def test_a_doubled_label_prior_shows_in_what_the_model_predicts_within_two_windows(reference: str) -> None:
    looked = after_two_windows("prior doubled", reference, size=30_000)
    assert [(f.name, f.kind) for f in looked.verdict.findings] == [(SCORE, PREDICTION_RATE)]
    assert looked.verdict.score_drifted
    assert 1.5 < looked.verdict.findings[0].value < 2.5


def test_the_same_shift_in_a_handful_of_decisions_is_not_judged() -> None:
    assert not after_two_windows("scaled", "baseline", size=30).verdict.judged
