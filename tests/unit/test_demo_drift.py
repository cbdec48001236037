"""The demo's act about drift: what befalls payments, and what is claimed of what was seen."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from scoring.pointers import Pointer, Version
from streamscore.demo import unattended as claims
from streamscore.demo import wave
from streamscore.demo.coming import AT_A_TIME, Coming
from streamscore.demo.drift import Acted
from streamscore.local.overlay import hurry, localised
from streamscore.local.template import read_template
from tests.unit.transformed_template import ROOT

OLD, NEW, RUN = "0" * 16, "1" * 16, "r-20261128-214214-cee568"
AMOUNTS = pl.DataFrame(
    {
        "amount": pl.Series([Decimal("40.01")] * 2_000, dtype=pl.Decimal(38, 2)),
        "is_fraud": [False] * 2_000,
    }
)
ACTED = Acted(
    OLD,
    1_000,
    alarmed_ms=31_000,
    runs=[{"run": RUN, "status": "RUNNING", "outcome": "", "text": ""}],
    move=Pointer(NEW, "", Version(OLD, ""), "1970-01-01T00:01:30Z", f"{RUN}: drift"),
    moved_ms=91_000,
    was_on=True,
    cleared_ms=107_000,
    campaign_ms=108_000,
    back=Pointer(OLD, "", None, "1970-01-01T00:02:00Z", f"{RUN}: prediction_rate from 0.1 to 0.6", back=True),
    back_ms=121_000,
    ended={"outcome": "rolled_back"},
    rang=True,
)
VERDICTS = (
    "FeaturesDrifted",
    "ScoreDrifted",
    "PerformanceDropped",
    "RetrainingAdvised",
    "ModelAged",
    "CostOverBudget",
)


def changed(stretch: wave.Stretch) -> pl.DataFrame:
    return stretch(AMOUNTS, np.random.default_rng(0))


def test_in_the_wave_everything_costs_half_and_small_payments_are_frauds() -> None:
    rows = changed(wave.wave)
    assert rows.schema == AMOUNTS.schema
    frauds, others = rows.filter("is_fraud"), rows.filter(~pl.col("is_fraud"))
    assert set(others["amount"]) <= {Decimal("20.00"), Decimal("20.01")}
    assert rows.height * 0.06 < frauds.height < rows.height * 0.1
    assert frauds["amount"].max() < 1


def test_in_the_campaign_most_small_payments_are_honest() -> None:
    small = changed(wave.campaign).filter(pl.col("amount") < 1)
    assert small.height > 0.6 * AMOUNTS.height
    assert small["is_fraud"].mean() < 0.1


def test_what_comes_is_as_the_stretch_of_the_moment_has_it_and_is_remembered() -> None:
    coming = Coming(AMOUNTS, 0)
    frames = coming.frames()
    first = next(frames)
    coming.stretch = wave.wave
    second = next(frames)
    coming.end()
    assert list(frames) == []
    assert first.equals(AMOUNTS.head(AT_A_TIME))
    assert second["amount"].max() < Decimal("21")
    assert [one is other for one, other in zip(coming.given, (first, second), strict=True)] == [True, True]


def test_an_act_that_went_as_it_should_holds_every_claim() -> None:
    decided_ms = list(range(1_000, 121_000, 500))
    assert [
        check.held
        for check in (
            claims.promoted_by_itself(ACTED, ["alarm"]),
            claims.alarm_over(ACTED),
            claims.rolled_back_by_itself(ACTED),
            claims.flowed(ACTED, decided_ms),
        )
    ] == [True] * 4
    told = claims.unattended(ACTED, ["drift"])
    assert (told.model, told.run, told.earlier) == (NEW, RUN, {})
    assert (told.promoted_after_s, told.alarm_over_after_s, told.rolled_back_after_s) == (60, 16, 13)
    assert [model for model, _ in ACTED.phases()] == [OLD, NEW, OLD]


@pytest.mark.parametrize(
    ("changes", "kinds", "why"),
    [
        ({"alarmed_ms": 0}, ["alarm"], "did not go off"),
        ({"move": None}, ["alarm"], "no run promoted a model"),
        ({}, ["alarm", "manual"], "reasons alarm, manual"),
        ({}, [], "reasons"),
    ],
)
def test_a_model_that_nobody_or_somebody_promoted_did_not_come_by_itself(
    changes: dict[str, Any], kinds: list[str], why: str
) -> None:
    check = claims.promoted_by_itself(replace(ACTED, **changes), kinds)
    assert not check.held
    assert why in check.detail


@pytest.mark.parametrize("changes", [{"move": None}, {"was_on": False}, {"cleared_ms": 0}])
def test_an_alarm_that_did_not_end_by_the_new_model_is_told(changes: dict[str, Any]) -> None:
    assert not claims.alarm_over(replace(ACTED, **changes)).held


@pytest.mark.parametrize(
    "changes",
    [
        {"back": None},
        {"back": Pointer("2" * 16, "", None, "", f"{RUN}: worse", back=True)},
        {"back": Pointer(OLD, "", None, "", "by hand", back=True)},
        {"back": Pointer(OLD, "", None, "", f"{RUN}: promoted again")},
        {"ended": {"outcome": "promoted"}},
        {"ended": {}},
        {"rang": False},
    ],
)
def test_a_model_that_the_run_did_not_take_back_is_told(changes: dict[str, Any]) -> None:
    assert not claims.rolled_back_by_itself(replace(ACTED, **changes)).held


def test_a_stretch_without_decisions_is_told() -> None:
    quiet = [at for at in range(1_000, 121_000, 500) if not 40_000 < at < 60_000]
    assert not claims.flowed(ACTED, quiet).held
    assert not claims.flowed(ACTED, list(range(1_000, 91_000, 500))).held
    assert not claims.flowed(replace(ACTED, cleared_ms=0), list(range(1_000, 121_000, 500))).held


def test_in_a_hurry_windows_and_the_alarms_on_verdicts_are_short_and_nothing_else_is() -> None:
    source = read_template(ROOT / "template.yaml")
    usual, hurried = localised(source, "http://x"), localised(source, "http://x")
    hurry(hurried, 5)
    resources = hurried["Resources"]
    windows = resources["MonitorWindowsFunction"]["Properties"]["Events"]["Decisions"]["Properties"]
    assert windows["TumblingWindowInSeconds"] == 5
    assert resources["RetrainingAdvisedAlarm"]["Properties"]["Period"] == 5
    windows["TumblingWindowInSeconds"] = 300
    for name in VERDICTS:
        resources[f"{name}Alarm"]["Properties"]["Period"] = 300
    resources["MonitorSchedule"] = usual["Resources"]["MonitorSchedule"]
    assert hurried == usual
