"""What a look finds: the reference, matured labels, challengers, when the bus is told."""

import math
from dataclasses import replace

import numpy as np
import pytest

from monitor import notice
from monitor.judge import LABEL_RATE, ROC_AUC
from monitor.labelled import Labelled, observe_labels
from monitor.look import Read, look, matured_days, series
from monitor.tally import Stored
from monitor.times import DAY_S, HOUR_S, WEEK_S, WINDOW_S, day, iso, later
from monitor.watching import Seen
from scoring.watch import PerformanceWatch
from tests.quiet_days import MONDAY_S, counted, payments, subject, trained

NOON_S = MONDAY_S + 20 * DAY_S + 12 * HOUR_S
DELAY_S = 7 * DAY_S


def hour(until_s: int, size: int = 200, scale: float = 1.0, seed: int = 1) -> list[Stored]:
    """An hour of windows, amounts scaled."""
    random, windows = np.random.default_rng(seed), []
    for start_s in range(until_s - HOUR_S, until_s, WINDOW_S):
        columns = payments(start_s, size, random)
        windows.append(counted(trained(), start_s, columns | {"amount": columns["amount"] * scale}))
    return windows


def labels_of_day(day_s: int, came_s: int, count: int, share: float, separation: float) -> Stored:
    """Labels that came in a window, of decisions of one day: scores of positives are higher by so much."""
    random = np.random.default_rng(count)
    labels = random.random(count) < share
    scores = 1 / (1 + np.exp(-(random.normal(-3, 1, count) + separation * labels)))
    decisions = np.where(scores > 0.5, "review", "approve").tolist()
    sketch = observe_labels(Labelled(labels, scores, decisions, np.full(count, 10.0)))
    window = counted(trained(), came_s, payments(came_s, 1, random))
    return window._replace(tally=replace(window.tally, labels={day(day_s): sketch}))


def read(windows: list[Stored], until_s: int = NOON_S, **more: list[Stored]) -> Read:
    """The hour up to then, and whatever else."""
    since, until = iso(until_s - HOUR_S), iso(until_s)
    stretch = [window for window in windows if since <= window.start < until]
    return Read(since, until, stretch, **more)


def test_a_models_first_week_is_compared_with_its_baseline_then_with_the_same_hours() -> None:
    before = hour(NOON_S - WEEK_S, seed=2)
    now = hour(NOON_S)
    assert look(subject(trained()), read(now)).whole.comparison.reference == "baseline"
    seasonal = look(subject(trained()), read(now, before=before)).whole.comparison
    assert (seasonal.reference, seasonal.reference_decided) == ("seasonal", 2_400)
    half = before[6:]
    assert look(subject(trained()), read(now, before=half)).whole.comparison.reference == "baseline"


def test_what_follows_the_calendar_is_judged_against_the_same_hours_only() -> None:
    night_s = NOON_S - 9 * HOUR_S
    looked = look(subject(trained()), read(hour(night_s), night_s))
    rows = {row.name: row for row in looked.whole.comparison.rows}
    assert rows["is_night"].psi > 1
    assert not rows["is_night"].comparable
    assert "is_night" not in looked.verdict.features
    by_day = hour(night_s - WEEK_S)
    wrong = [window._replace(tally=hour(NOON_S)[n].tally) for n, window in enumerate(by_day)]
    assert "is_night" in look(subject(trained()), read(hour(night_s), night_s, before=wrong)).verdict.features


def test_labels_count_when_all_had_their_time_and_the_open_ones_are_counted() -> None:
    days = matured_days(PerformanceWatch(), DELAY_S, iso(NOON_S))
    assert days == ("2026-09-13T00:00:00Z", "2026-09-20T00:00:00Z")
    matured_s, young_s = MONDAY_S + 9 * DAY_S, MONDAY_S + 15 * DAY_S
    windows = [
        *hour(matured_s + 12 * HOUR_S, seed=3),
        *hour(young_s + 12 * HOUR_S, seed=4),
        labels_of_day(matured_s, NOON_S - WINDOW_S, 1_500, 0.05, 3.0),
        labels_of_day(young_s, NOON_S - 2 * WINDOW_S, 300, 1.0, 3.0),
    ]
    looked = look(replace(subject(trained()), delay_s=DELAY_S), read(windows, matured=windows))
    found = looked.performance
    assert found is not None
    assert found.labels is not None
    assert (found.decided, found.labels.labelled, found.open) == (2_400, 1_500, 900)
    assert found.waiting == 2_400 + 2 - 300, "young ones without a label, these two windows' own among them"
    assert found.labels.label_rate < 0.1, "early labels are all positive, and wait"
    assert looked.arrived is not None
    assert looked.arrived.labelled == 1_800


@pytest.mark.parametrize(
    ("share", "separation", "kinds"),
    [(0.01, 3.0, set()), (0.01, 0.5, {ROC_AUC}), (0.02, 3.0, {LABEL_RATE})],
    ids=["as it was", "ranks badly", "prior doubled"],
)
def test_a_model_that_ranks_badly_and_a_doubled_prior_are_found(
    share: float, separation: float, kinds: set[str]
) -> None:
    matured_s = MONDAY_S + 9 * DAY_S
    window = labels_of_day(matured_s, NOON_S - WINDOW_S, 20_000, share, separation)
    looked = look(replace(subject(trained()), delay_s=DELAY_S), read([window], matured=[window]))
    assert {finding.kind for finding in looked.verdict.findings} == kinds
    assert looked.verdict.performance_dropped == (ROC_AUC in kinds)
    assert looked.verdict.score_drifted == (LABEL_RATE in kinds)


def test_few_positives_are_not_judged() -> None:
    window = labels_of_day(MONDAY_S + 9 * DAY_S, NOON_S - WINDOW_S, 1_000, 0.02, 0.0)
    looked = look(replace(subject(trained()), delay_s=DELAY_S), read([window], matured=[window]))
    assert looked.performance is not None
    assert looked.performance.labels is not None
    assert looked.performance.labels.positives < 30
    assert looked.verdict.findings == ()


def test_a_series_has_every_window_with_its_labels() -> None:
    windows = hour(NOON_S)
    points = series(subject(trained()), read(windows))
    assert [point.start for point in points] == [window.start for window in windows]
    assert all(point.comparison.decided == 200 for point in points)


def seen(windows: list[Stored], until_s: int) -> Seen:
    """A look as the schedule has it, with one window more before it."""
    earlier = later(iso(until_s - HOUR_S), -WINDOW_S)
    before = [window for window in windows if earlier <= window.start < iso(until_s)]
    of_it = replace(read(windows, until_s), earlier=before)
    model = subject(trained(), "baseline")
    return Seen(look(model, of_it), model, of_it)


def test_the_bus_is_told_when_something_is_new_and_once_a_day_while_it_lasts() -> None:
    quiet, broken = hour(NOON_S, 600), hour(NOON_S + HOUR_S, 600, scale=2.0, seed=2)
    day_s = MONDAY_S + 22 * DAY_S
    lasting = [*hour(day_s, 600, 2.0), *hour(day_s + HOUR_S, 600, 2.0)]
    assert not notice.is_news(seen(quiet, NOON_S)), "nothing is no news"
    assert notice.is_news(seen([*quiet, *broken], NOON_S + WINDOW_S))
    assert not notice.is_news(seen([*quiet, *broken], NOON_S + HOUR_S)), "found before"
    assert notice.is_news(seen(lasting, day_s)), "the day's first look"
    assert not notice.is_news(seen(lasting, day_s + WINDOW_S))


def test_performance_is_news_once_not_every_hour() -> None:
    window = labels_of_day(MONDAY_S + 9 * DAY_S, NOON_S - WINDOW_S, 20_000, 0.01, 0.5)
    model = replace(subject(trained()), delay_s=DELAY_S)
    for until_s, news in ((NOON_S, True), (NOON_S + HOUR_S, False)):
        of_it = read([window], until_s, matured=[window])
        looked = look(model, of_it)
        assert looked.verdict.performance_dropped
        assert notice.is_news(Seen(looked, model, of_it)) == news


def test_a_stretch_without_windows_says_nothing() -> None:
    looked = look(subject(trained()), read([]))
    assert (looked.verdict.judged, looked.newest, looked.arrived) == (False, None, None)
    assert looked.whole.comparison.decided == 0
    assert all(math.isnan(row.psi) for row in looked.whole.comparison.rows)
