from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from common.errors import InvalidInputError
from common.settings import code_root
from stream_features.spec import parse
from streamscore.cli.main import cli
from streamscore.demo.material import (
    WEEK_MS,
    Material,
    Simulated,
    last_of_history_ms,
    out_of_the_future,
    refuse_max_age,
    refuse_other_payments,
    simulate,
    write_shifted,
)
from streamscore.training.backfill import backfill

TODAY = date(2026, 11, 24)


def test_the_live_events_follow_the_history_and_no_label_lies_in_the_future(tmp_path: Path) -> None:
    simulate(Simulated(live=300, history_days=20, customers=60), tmp_path / "e.csv", TODAY)

    times = pl.read_csv(tmp_path / "e.csv")["event_time"].str.to_datetime(time_zone="UTC").to_list()
    live, history = times[-300:], times[:-300]
    assert live[0] - history[0] < timedelta(days=21)
    assert history[-1].date() < live[0].date()
    assert times[-1] + timedelta(days=7) <= datetime(2026, 11, 24, tzinfo=UTC)


def test_what_is_to_come_follows_the_live_events_and_is_not_written(tmp_path: Path) -> None:
    size = Simulated(live=300, history_days=20, customers=60, coming=200)
    coming, written = simulate(size, tmp_path / "e.csv", TODAY), pl.read_csv(tmp_path / "e.csv")
    assert coming.height == 200
    assert written["event_time"][-1] <= coming["event_time"][0]
    assert set(coming["transaction_id"]).isdisjoint(written["transaction_id"])
    assert coming["event_time"][-1] < "2026-11-18"


def test_a_file_is_cut_so_that_the_last_events_are_live() -> None:
    times = np.array([10, 20, 30, 40, 50])

    assert (times > last_of_history_ms(times, 2)).sum() == 2
    assert (np.array([10, 20, 40, 40, 50]) > last_of_history_ms(np.array([10, 20, 40, 40, 50]), 2)).sum() == 3


def test_a_file_without_history_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="holds 5 events; --live 5 leaves no history"):
        last_of_history_ms(np.arange(5), 5)


SPEC = """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "7d"
fields = { amount = "decimal(2)" }
[entities]
customer = "customer"
[[feature]]
name = "hour"
op = "hour"
[[feature]]
name = "count"
op = "count"
entity = "customer"
windows = ["1d"]
"""


@pytest.fixture
def of_next_month(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(
        "id,at,customer,amount,fraud\n"
        "a,2026-12-20T10:00:00Z,c,1.00,0\nb,2026-12-20T11:00:00Z,c,2.50,1\nc,2026-12-27T09:30:00Z,d,0.10,0\n"
    )
    return path


def test_events_of_the_future_are_moved_back_by_whole_weeks(of_next_month: Path) -> None:
    spec = parse(SPEC)
    whole = backfill(spec, of_next_month)
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)

    shift_ms = out_of_the_future(spec, whole, int(now.timestamp() * 1000))

    assert shift_ms == -6 * WEEK_MS  # the last label would be known on 2027-01-03
    shifted = of_next_month.with_name("shifted.parquet")
    write_shifted(spec, of_next_month, shift_ms, shifted)
    again = backfill(spec, shifted)
    assert (again.time_ms == whole.time_ms + shift_ms).all()
    assert again.features.tobytes() == whole.features.tobytes()


@pytest.mark.parametrize(
    ("past_the_last_label_ms", "weeks"), [(0, 0), (-1, 1), (-WEEK_MS, 1), (-WEEK_MS - 1, 2)]
)
def test_nothing_moves_that_is_past_already(
    of_next_month: Path, past_the_last_label_ms: int, weeks: int
) -> None:
    spec = parse(SPEC)
    whole = backfill(spec, of_next_month)
    now_ms = int(whole.time_ms[-1]) + WEEK_MS + past_the_last_label_ms

    assert out_of_the_future(spec, whole, now_ms) == -weeks * WEEK_MS


def of_days(path: Path, days: int, labels: Sequence[str] = "01") -> Material:
    """An event a day at noon, the first five history; labels over and over."""
    rows = (f"{n},2026-01-{n + 1:02}T12:00:00Z,c,1.00,{labels[n % len(labels)]}\n" for n in range(days))
    path.write_text("id,at,customer,amount,fraud\n" + "".join(rows))
    whole = backfill(parse(SPEC), path)
    return Material(path, whole, int(whole.time_ms[4]))


def test_labels_enough_are_known_a_week_after_so_many_live_events(tmp_path: Path) -> None:
    prepared = of_days(tmp_path / "e.csv", 25)

    assert prepared.matured_after(2) == 9  # of the 7th of January on the 14th, before that day's event
    assert prepared.matured_after(1) == 9, "one is of one kind only"
    assert prepared.matured_after(10) == 17
    assert prepared.matured_after(11) is None  # two of twenty would be left
    assert prepared.matured_after(21) is None
    for labels in ([""], "0", "1"):
        assert of_days(tmp_path / "e.csv", 25, labels).matured_after(1) is None


def test_a_spec_with_max_age_is_refused_before_anything_starts() -> None:
    with pytest.raises(InvalidInputError, match="max_age would refuse the demo's events"):
        refuse_max_age(parse(SPEC.replace("[entities]", 'max_age = "3d"\n[entities]')))


def test_drift_needs_a_spec_that_knows_what_it_changes() -> None:
    shipped = (code_root({}) / "features.toml").read_text()
    refuse_other_payments(parse(shipped))
    for other in (shipped.replace('label = "is_fraud"', 'label = "fraud"', 1), SPEC):
        with pytest.raises(InvalidInputError, match="--drift changes the simulator's `amount`"):
            refuse_other_payments(parse(other))


def test_drift_and_a_file_of_events_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="leave --events out"):
        cli.main(["demo", "--drift", "--events", "events.csv"], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there_is_refused_before_a_stack_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match=r"nowhere\.csv: no such file"):
        cli.main(["demo", "--events", "nowhere.csv"], standalone_mode=False)
    assert list(tmp_path.iterdir()) == []
