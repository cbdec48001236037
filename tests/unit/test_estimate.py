"""The what-if calculator: what must hold of it whatever the load, and what was worked out by hand."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError
from common.prices import PRICES
from common.pricing import METERED, write_units
from streamscore.cli.estimate import command
from streamscore.estimate import answers, choices, flow
from streamscore.estimate.against import check
from streamscore.estimate.bill import HOURS, SECONDS, bill
from streamscore.estimate.ceilings import ceilings, hot_writes
from streamscore.estimate.estimate import estimate
from streamscore.estimate.flow import Lanes
from streamscore.estimate.workload import FLAT, Workload, profile_of

RECORDED = Path(__file__).with_name("metered_demo.json")

workloads = st.builds(
    Workload,
    events_per_s=st.floats(0.1, 50_000),
    profile=st.sampled_from([FLAT, profile_of([2.0]), profile_of([5.0])]),
    labels_share=st.floats(0, 2),
    flagged_share=st.floats(0, 1),
    entities=st.integers(1, 10**7),
    shared_entities=st.integers(1, 10**6),
    entities_per_event=st.integers(1, 4),
    hot_share=st.floats(0, 1),
    state_bytes=st.integers(1, 10_000),
    shared_bytes=st.integers(1, 10_000),
    event_bytes=st.integers(1, 60_000),
    batch=st.none() | st.floats(1, 500),
    on_demand=st.booleans(),
    fan_out=st.booleans(),
    api_per_s=st.floats(0, 1_000),
)


@given(workloads, st.floats(1, 50))
def test_more_load_never_costs_less(workload: Workload, more: float) -> None:
    grown = replace(workload, events_per_s=workload.events_per_s * more)
    assert bill(grown).total_usd >= bill(workload).total_usd * (1 - 1e-9)


@given(workloads)
def test_components_sum_to_the_total_and_none_is_negative(workload: Workload) -> None:
    month = bill(workload)
    assert month.total_usd == pytest.approx(month.used_usd + month.standing_usd)
    assert month.total_usd == pytest.approx(math.fsum(month.by_component.values()))
    assert min(month.by_component.values()) >= 0


@given(workloads, st.floats(0.01, 100))
def test_prices_in_another_unit_scale_the_whole_bill(workload: Workload, rate: float) -> None:
    converted = {name: replace(price, usd=price.usd * rate) for name, price in PRICES.items()}
    assert bill(workload, converted).total_usd == pytest.approx(bill(workload).total_usd * rate)


@given(workloads, st.integers(1, 40))
def test_with_full_batches_twice_the_load_uses_twice_as_much(workload: Workload, factor: int) -> None:
    fixed, lanes = replace(workload, batch=100.0), Lanes(4, 4, 4)
    once, often = (flow.flow(fixed, rate, lanes).usage for rate in (10.0, 10.0 * factor))
    for field in fields(once):
        assert getattr(often, field.name) == pytest.approx(factor * getattr(once, field.name))


@given(workloads)
def test_the_first_quota_is_the_lowest_and_more_shards_never_lower_those_of_a_shard(
    workload: Workload,
) -> None:
    found = ceilings(workload)
    assert [one.events_per_s for one in found] == sorted(one.events_per_s for one in found)
    more = {one.quota: one.events_per_s for one in ceilings(replace(workload, shards=500))}
    few = {one.quota: one.events_per_s for one in ceilings(replace(workload, shards=1))}
    assert all(more[quota] >= few[quota] for quota in few if "shard" in quota)


@given(st.integers(1, 400_000))
def test_expected_units_are_near_those_of_the_mean_and_never_below_one(size: int) -> None:
    units = flow.expected_units(size)
    assert max(1.0, size / 1024) <= units + 1e-9
    assert abs(units - write_units(size)) < 1


def test_a_months_bill_of_a_small_stack_is_the_hand_computed_one() -> None:
    workload = Workload(
        events_per_s=1.0, labels_share=0.0, flagged_share=0.5, entities_per_event=1, batch=10.0,
        state_bytes=400, decision_bytes=400, retention_days=0, entities=10**9, call_ms=5.0, memory_mb=1769,
    )  # fmt: skip
    month = bill(workload, lanes=Lanes(2, 4, 4)).by_component
    events = 730 * 3600
    assert month["DynamoDbWrite"] == pytest.approx(events * 2 * 0.625e-6)
    assert month["DynamoDbRead"] == pytest.approx(events * 1.1 * 0.125e-6)
    assert month["EventBridge"] == pytest.approx(events * 0.5e-6)
    assert month["KinesisPut"] == pytest.approx(events * 0.014e-6)
    assert month["KinesisHours"] == pytest.approx(730 * 2 * 0.015)
    last_calls = 4 * 730 * 12
    assert month["LambdaRequests"] == pytest.approx((3 * events / 10 + last_calls) * 0.2e-6)
    features_ms = 2 * 5 + 2 + 10 * 0.124
    scoring_ms = 5 + 10 * 0.5 / 10 * 10 + 2 + 10 * 0.032
    monitor_ms = 2 + 10 * 0.005
    gb_s = events / 10 * (features_ms + scoring_ms + monitor_ms) / 1000 * 1769 / 1024
    assert month["LambdaDuration"] == pytest.approx(gb_s * 0.0000166667)
    assert month["XRay"] == pytest.approx(3 * events / 10 * 5e-6)


def test_on_demand_and_fan_out_are_priced_as_aws_prices_them() -> None:
    workload = Workload(events_per_s=1.0, labels_share=0.0, event_bytes=1_500, on_demand=True)
    month = bill(workload).by_component
    assert month["KinesisIn"] == pytest.approx(SECONDS * 2 / 2**20 * 0.08)
    assert month["KinesisOut"] == pytest.approx(SECONDS * 1_500 / 2**30 * 0.04)
    assert month["KinesisHours"] == pytest.approx(HOURS * 0.04)
    fanned = bill(replace(workload, on_demand=False, fan_out=True, shards=3)).by_component
    assert fanned["FanOut"] == pytest.approx(HOURS * 3 * 0.015 + SECONDS * 1_500 / 2**30 * 0.013)
    assert "KinesisOut" not in fanned


def test_one_shard_carries_a_thousand_records_a_second_labels_among_them() -> None:
    first = ceilings(Workload(shards=1, labels_share=1.0))[0]
    assert (first.quota, first.events_per_s) == ("Kinesis: 1,000 records/s a shard", 500.0)


def test_a_lane_with_calls_of_ten_milliseconds_is_as_fast_as_was_measured() -> None:
    ms = flow.features_ms(Workload(call_ms=10.0, entities=10**9, shared_entities=10**9), 500)
    assert 500 / ms * 1000 == pytest.approx(3_530, rel=0.15)


def test_a_hot_shared_entity_binds_when_many_lanes_write_it() -> None:
    hot = Workload(events_per_s=4_000, shards=16, hot_share=0.9, shared_bytes=8_000, batch=1.0)
    lanes = flow.lanes_for(hot)
    assert hot_writes(hot, 100, lanes) == pytest.approx(180)  # 90 events and their labels, each a batch
    by_quota = {one.quota: one for one in ceilings(hot)}
    serial = by_quota["one item's conditional writes (the busiest shared entity)"].events_per_s
    assert hot_writes(hot, serial, lanes) == pytest.approx(0.62 * 1000 / 12, rel=1e-3)
    key = by_quota["DynamoDB: 1,000 write units/s a key (the busiest shared entity)"].events_per_s
    assert key * 2 * 0.9 * flow.expected_units(8_000) == pytest.approx(1_000, rel=1e-3)
    assert ceilings(hot)[0].quota.startswith("one item's conditional writes")


def test_the_api_works_off_what_its_concurrency_allows() -> None:
    workload = Workload(concurrency=10, call_ms=6.0, load_ms=1_000, init_ms=500, api_per_s=1.0)
    found = answers.api(workload)
    cold = 12 / 86_400  # one environment, renewed every two hours
    assert found.cold_share == pytest.approx(cold)
    assert found.latency_ms == pytest.approx(15 + 15 + cold * 1_500)
    assert found.executions_a_minute == pytest.approx(10 * 60_000 / (15 + cold * 1_500))
    assert found.usd_per_million == pytest.approx(
        1.00 + 0.20 + 15 * 1769 / 1024 * 1000 * 0.0000166667 + 2 * 0.125 + 0.625 + 1.5e6 / 2**20 * 0.5
    )


@pytest.mark.parametrize(
    ("workload", "says"),
    [
        (Workload(model_mb=2_000), "more memory: the model needs about 6,250 MB"),
        (Workload(events_per_s=900, shards=1), "add shards: the peak of 900 events/s is beyond Kinesis"),
        (Workload(), "provision DynamoDB's capacity"),
        (
            Workload(events_per_s=1, on_demand=True, retention_days=1),
            "switch the stream's mode",
        ),
        (Workload(events_per_s=0.01, retention_days=1), "nothing saves 5 %"),
    ],
)
def test_the_advice_is_what_does_not_fit_or_else_what_saves_most(workload: Workload, says: str) -> None:
    assert says in choices.advice(workload)


def test_ten_times_the_load_takes_the_shards_and_partitions_that_carry_it() -> None:
    one, ten, hundred, thousand = (choices.scaled(Workload(), factor) for factor in choices.SCALES)
    assert [s.shards for s in (one, ten, hundred, thousand)] == [1, 3, 25, 250]
    assert ten.write_units_per_s == pytest.approx(10 * one.write_units_per_s, rel=0.01)
    assert one.design == ()
    assert any("16 items" in what for what in hundred.design)
    assert any("concurrency" in what for what in thousand.design)
    assert all(s.binds.events_per_s > 0 for s in (one, ten, hundred, thousand))


def test_a_profile_is_a_peak_or_twenty_four_loads_of_mean_one() -> None:
    for profile in (profile_of([1]), profile_of([3.5]), profile_of(list(range(24)))):
        assert math.fsum(profile) == pytest.approx(24)
    assert max(profile_of([3.5])) == pytest.approx(3.5)
    for wrong in ([0.5], [21.0], [1.0, 2.0], [0.0] * 24, [float("nan")]):
        with pytest.raises(InvalidInputError, match="profile"):
            profile_of(wrong)


def test_a_peaked_day_needs_the_peaks_shards_and_writes_as_much_in_fuller_batches() -> None:
    peaked, flat = Workload(profile=profile_of([8.0])), Workload()
    assert (flow.lanes_for(peaked).events, flow.lanes_for(flat).events) == (2, 1)
    used, even = bill(peaked).by_component, bill(flat).by_component
    assert used["DynamoDbWrite"] == pytest.approx(even["DynamoDbWrite"], rel=0.01)
    assert used["LambdaRequests"] < even["LambdaRequests"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("events_per_s", 0), ("events_per_s", math.nan), ("batch", 501), ("memory_mb", 64), ("hot_share", 2)],
)
def test_a_workload_that_cannot_be_names_its_field(field: str, value: float) -> None:
    with pytest.raises(InvalidInputError, match=field):
        replace(Workload(), **{field: value})


def recorded() -> dict[tuple[str, str], float]:
    """What the demo's functions metered on 2026-11-25: sums by (service, metric)."""
    by_service = json.loads(RECORDED.read_text())
    return {(service, name): v for service, of in by_service.items() for name, v in of.items()}


def test_the_estimate_is_within_fifteen_percent_of_what_a_real_demo_metered() -> None:
    found = check(Workload(), recorded())
    assert (found.events, found.labels) == (5_000, 11_518)
    assert found.metered_usd == pytest.approx(0.05896357, rel=1e-5)
    assert abs(found.off) < 0.15
    assert found.holds
    for part in ("DynamoDbWrite", "DynamoDbRead", "KinesisPut", "EventBridge", "Logs"):
        metered, estimated = found.by_component[part]
        assert estimated == pytest.approx(metered, rel=0.15)


def test_a_model_of_items_three_times_too_large_does_not_hold() -> None:
    assert not check(Workload(state_bytes=4_500, shared_bytes=3_400), recorded()).holds


def test_the_check_prices_both_sides_by_the_same_table() -> None:
    doubled = {name: replace(price, usd=price.usd * 2) for name, price in METERED.items()}
    once, twice = check(Workload(), recorded()), check(Workload(), recorded(), doubled)
    assert twice.off == pytest.approx(once.off)
    assert twice.metered_usd == pytest.approx(2 * once.metered_usd)


def test_without_events_there_is_nothing_to_check() -> None:
    with pytest.raises(InvalidInputError, match="no event was applied"):
        check(Workload(), {})


def test_the_command_alone_prints_an_estimate_and_says_what_comes_first() -> None:
    result = CliRunner().invoke(command, [], catch_exceptions=False)
    assert result.exit_code == 0
    assert "prices of us-east-1" in result.stdout
    assert result.stdout.splitlines()[-1] == f"first: {choices.advice(Workload())}"


def test_the_json_holds_the_same_numbers_and_null_for_never(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('region = "r"\nas_of = "d"\nsource = "s"\n[prices]\ndynamodb_write_units = 0\n')
    arguments = ["--json", "--events-per-s", "7", "--profile", "2", "--prices", str(prices)]
    found = json.loads(CliRunner().invoke(command, arguments, catch_exceptions=False).stdout)
    workload = Workload(events_per_s=7, profile=profile_of([2]))
    assert (found["region"], found["prices_as_of"]) == ("r", "d")
    assert found["bill"]["by_component"]["DynamoDbWrite"] == 0
    full = estimate(workload).bill
    assert found["bill"]["total_usd"] == pytest.approx(full.total_usd - full.by_component["DynamoDbWrite"])
    assert found["ceilings"][-1]["events_per_s"] is None
    assert [scale["factor"] for scale in found["scales"]] == [1, 10, 100, 1000]
