"""The cost report against a bill computed by hand."""

import dataclasses
import math

import pytest

from common import pricing
from monitor.cost import cost


def test_a_scripted_runs_bill_is_the_hand_computed_one() -> None:
    usage = pricing.Usage(
        lambda_requests=20,
        lambda_gb_s=20 * pricing.lambda_gb_s(149.2, 1769),
        dynamodb_write_units=6000,
        dynamodb_read_units=6000,
        kinesis_in_kb=10_000,
        eventbridge_events=100,
    )
    by_hand = {
        "LambdaRequests": 20 * 0.20 / 1e6,
        "LambdaDuration": 20 * 0.150 * 1769 / 1024 * 0.0000166667,
        "DynamoDbWrite": 6000 * 0.625 / 1e6,
        "DynamoDbRead": 6000 * 0.125 / 1e6,
        "KinesisIn": 10_000 / 1024 / 1024 * 0.08,
        "EventBridge": 100 * 1.00 / 1e6,
    }
    assert pricing.cost_by_component(usage) == pytest.approx(by_hand)
    assert pricing.cost_usd(usage) == pytest.approx(sum(by_hand.values()))


def test_cost_per_million_is_by_component_and_retries_are_shown_as_waste() -> None:
    report = cost(
        {
            ("scoring", "DecisionsMade"): 4000,
            ("scoring_api", "DecisionsMade"): 1000,
            ("scoring", "LabelsStored"): 70,
            ("scoring", "EstimatedCostUSD"): 0.004,
            ("scoring", "DynamoDbWriteCostUSD"): 0.003,
            ("scoring", "LambdaDurationCostUSD"): 0.001,
            ("stream_features", "EstimatedCostUSD"): 0.006,
            ("stream_features", "DynamoDbWriteCostUSD"): 0.006,
            ("stream_features", "WastedCostUSD"): 0.002,
        }
    )
    assert (report.decisions, report.labels) == (5000, 70)
    assert report.per_million_usd == pytest.approx(2.0)
    assert report.per_million_by_component_usd == pytest.approx({"LambdaDuration": 0.2, "DynamoDbWrite": 1.8})
    assert report.by_service_usd == pytest.approx({"scoring": 0.004, "stream_features": 0.006})
    assert report.wasted_usd == pytest.approx(0.002)


def test_another_table_prices_what_was_metered_by_its_own_prices() -> None:
    sums = {
        ("scoring", "DecisionsMade"): 1_000_000,
        ("scoring", "EstimatedCostUSD"): 4.0,
        ("scoring", "WastedCostUSD"): 2.0,
        ("scoring", "DynamoDbWriteCostUSD"): 3.0,
        ("scoring", "LambdaDurationCostUSD"): 1.0,
    }
    halved = dataclasses.replace(
        pricing.PRICES["dynamodb_write_units"], usd=pricing.PRICES["dynamodb_write_units"].usd / 2
    )
    report = cost(sums, {**pricing.PRICES, "dynamodb_write_units": halved})
    assert report.by_component_usd == pytest.approx({"LambdaDuration": 1.0, "DynamoDbWrite": 1.5})
    assert (report.total_usd, report.per_million_usd) == pytest.approx((2.5, 2.5))
    assert report.wasted_usd == pytest.approx(1.25)


def test_without_decisions_there_is_no_price_of_one() -> None:
    report = cost({("scoring", "EstimatedCostUSD"): 0.004, ("scoring", "LambdaDurationCostUSD"): 0.004})
    assert report.total_usd == 0.004
    assert math.isnan(report.per_million_usd)


@pytest.mark.parametrize(
    ("size", "writes", "reads"), [(0, 1, 1.0), (1024, 1, 1.0), (1025, 2, 1.0), (4096, 4, 1.0), (4097, 5, 2.0)]
)
def test_capacity_units_round_as_aws_does(size: int, writes: int, reads: float) -> None:
    assert pricing.write_units(size) == writes
    assert pricing.read_units(size) == reads
    assert pricing.read_units(size, consistent=False) == reads / 2


def test_stream_records_and_bus_entries_round_up() -> None:
    assert [pricing.kinesis_in_kb(size) for size in (1, 1024, 1025)] == [1, 1, 2]
    assert [pricing.kinesis_put_units(size) for size in (1, 25600, 25601)] == [1, 1, 2]
    assert [pricing.eventbridge_events(size) for size in (1, 65536, 65537)] == [1, 1, 2]
