from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from common.errors import InvalidInputError
from streamscore.demo.material import Simulated, last_of_history_ms, simulate

TODAY = date(2026, 11, 24)


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
