from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from common.errors import InvalidInputError
from streamscore.demo.drain import PATIENCE_S, wait_until
from streamscore.demo.material import Simulated, last_of_history_ms, simulate

TODAY = date(2026, 11, 24)


class Said:
    """Notes what a step was told."""

    total = done = 0

    def expect(self, total: int) -> None:
        self.total = total

    def advance(self, amount: int) -> None:
        self.done += amount

    def note(self, text: str) -> None:
        raise AssertionError(text)


def test_the_live_events_follow_the_history_and_no_label_lies_in_the_future(tmp_path: Path) -> None:
    simulate(Simulated(live=300, history_days=20, customers=60), tmp_path / "e.csv", TODAY)

    times = pl.read_csv(tmp_path / "e.csv")["event_time"].str.to_datetime(time_zone="UTC").to_list()
    live, history = times[-300:], times[:-300]
    assert live[0] - history[0] < timedelta(days=21)
    assert history[-1].date() < live[0].date()
    assert times[-1] + timedelta(days=7) <= datetime(2026, 11, 24, tzinfo=UTC)


def test_a_file_is_cut_so_that_the_last_events_are_live() -> None:
    times = np.array([10, 20, 30, 40, 50])

    assert (times > last_of_history_ms(times, 2)).sum() == 2
    assert (np.array([10, 20, 40, 40, 50]) > last_of_history_ms(np.array([10, 20, 40, 40, 50]), 2)).sum() == 3


def test_a_file_without_history_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="holds 5 events; --live 5 leaves no history"):
        last_of_history_ms(np.arange(5), 5)


def test_waiting_ends_when_everything_is_done_and_says_how_far_it_is() -> None:
    counts, step = iter([0, 3, 3, 7]), Said()

    assert wait_until(7, lambda: next(counts), step, sleep=lambda _: None)
    assert (step.total, step.done) == (7, 7)


def test_waiting_gives_up_when_nothing_moves() -> None:
    now_s = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    assert not wait_until(7, lambda: 3, Said(), lambda: now_s, sleep)
    assert now_s == pytest.approx(PATIENCE_S, abs=1)
