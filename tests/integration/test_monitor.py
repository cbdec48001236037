"""The monitor on the emulator: stream batches in, windows in the table, drift, performance and cost out."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from common import telemetry
from common.errors import InvalidInputError
from monitor import handler, schedule
from monitor.schedule import Parts, Stretch
from monitor.spending import Spending
from monitor.store import Store
from scoring.bus import Bus
from streamscore import monitoring
from streamscore.room_client import RoomClient
from tests.decision_images import batch, change
from tests.monitored import amounts, images, publish

SINCE, UNTIL = "2026-11-24T16:00:00Z", "2026-11-24T17:00:00Z"


@dataclass(frozen=True)
class MonitoredStack:
    outputs: dict[str, str]
    client: Callable[[str], Any]
    version: str

    @property
    def bus(self) -> str:
        return self.outputs["MonitorTableName"]


@pytest.fixture
def monitored(client: Callable[[str], Any]) -> MonitoredStack:
    """A table, a bucket with a bundle and a spec, and a champion's pointer."""
    name = f"monitor-{uuid.uuid4().hex[:8]}"
    client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    client("s3").create_bucket(Bucket=name)
    version, pointer = publish(client("s3"), name)
    client("ssm").put_parameter(Name=f"/{name}/champion", Value=pointer, Type="String")
    outputs = {"MonitorTableName": name, "DataBucketName": name, "PointerPrefix": f"/{name}"}
    return MonitoredStack(outputs, client, version)


def decided(version: str, values: np.ndarray, label: bool | None = None) -> list[dict[str, Any]]:
    return [change(image) for image in images(version, values, label)]


def play(store: Store, batches: list[list[dict[str, Any]]], shard: str = "shard-1") -> None:
    """One window of one shard, to its end."""
    state: dict[str, Any] = {}
    for records in batches:
        state = handler.count_batch(batch(records, state, shard=shard), store, 0.0)["state"]
    handler.count_batch(batch([], state, shard=shard, final=True), store, 0.0)


def parts(stack: MonitoredStack) -> Parts:
    """What a run of the schedule needs, on the emulator."""
    bus = Bus(RoomClient(stack.client("events")), stack.bus)
    spending = Spending(RoomClient(stack.client("cloudwatch")), "test")
    return Parts(monitoring.store_of(stack), bus, spending)


def test_quiet_windows_show_no_drift_and_a_scaled_feature_is_named(monitored: MonitoredStack) -> None:
    store = monitoring.store_of(monitored)
    rows = decided(monitored.version, amounts(2000, 2))
    play(store, [rows[:700], rows[700:]])
    since, until = datetime(2026, 11, 24, 16, tzinfo=UTC), datetime(2026, 11, 24, 17, tzinfo=UTC)
    version, quiet = monitoring.drift(monitored, since, until)
    assert (version, quiet.decided) == (monitored.version, 2000)
    assert quiet.score.psi < 0.02
    assert quiet.features[0].psi < 0.02
    assert abs(quiet.features[0].mean_shift) < 0.1
    assert quiet.reference == "baseline"
    play(store, [decided(monitored.version, amounts(6000, 3) * 1.5)], shard="shard-2")
    _, shifted = monitoring.drift(monitored, since, until)
    assert shifted.decided == 8000
    assert shifted.features[0].name == "amount"
    assert shifted.features[0].beyond_noise
    assert shifted.features[0].psi > 0.1
    assert shifted.features[0].mean_shift > 0.3


def test_the_hourly_check_emits_drift_and_performance(
    monitored: MonitoredStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = monitoring.store_of(monitored)
    low, high = amounts(600, 4), amounts(40, 5) + 50
    play(store, [decided(monitored.version, low, label=False), decided(monitored.version, high, label=True)])
    telemetry.metrics().clear_metrics()
    found = schedule.check(parts(monitored), Stretch(SINCE, UNTIL, hourly=True))
    emitted = {name: metric["Value"] for name, metric in telemetry.metrics().metric_set.items()}
    telemetry.metrics().clear_metrics()
    assert (found["model"], found["decided"], found["judged"]) == (monitored.version, 640, True)
    assert emitted["ScorePsi"][0] > 0
    assert emitted["WorstFeaturePsi"][0] > 0
    assert 0.98 < emitted["RocAuc"][0] <= 1.0
    since_trained = datetime.fromisoformat(UNTIL) - datetime.fromisoformat("2026-02-01T00:00:00Z")
    assert emitted["ModelAgeDays"] == [since_trained / timedelta(days=1)]
    assert emitted["AveragePrecision"][0] > 0.7


def test_windows_outside_the_stretch_are_not_read(monitored: MonitoredStack) -> None:
    store = monitoring.store_of(monitored)
    records = decided(monitored.version, amounts(10, 6))
    for start in ("2026-11-24T15:55:00Z", SINCE, "2026-11-24T16:55:00Z", UNTIL):
        handler.count_batch(batch(records, start=start, final=True), store, 0.0)
    layout = store.model(monitored.version).layout
    assert [stored.start for stored in store.windows(monitored.version, SINCE, UNTIL, layout)] == [
        SINCE,
        "2026-11-24T16:55:00Z",
    ]


def test_repeating_a_windows_end_changes_nothing(monitored: MonitoredStack) -> None:
    store = monitoring.store_of(monitored)
    event = batch(decided(monitored.version, amounts(10, 7)), final=True)
    for _ in range(2):
        handler.count_batch(event, store, 0.0)
    since = datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert monitoring.counted(monitored, monitored.version, since, since + timedelta(hours=1)) == 10


def test_without_a_promoted_model_drift_says_what_to_do(monitored: MonitoredStack) -> None:
    monitored.client("ssm").delete_parameter(Name=f"{monitored.outputs['PointerPrefix']}/champion")
    now = datetime.now(UTC)
    with pytest.raises(InvalidInputError, match="streamscore promote"):
        monitoring.drift(monitored, now, now)
    assert schedule.check(parts(monitored), Stretch(SINCE, UNTIL, hourly=True))["model"] is None


def test_a_champion_whose_bundle_is_not_there_fails_no_run(monitored: MonitoredStack) -> None:
    name = f"{monitored.outputs['PointerPrefix']}/champion"
    pointer = '{"version": "0000000000000000", "sha256": ""}'
    monitored.client("ssm").put_parameter(Name=name, Value=pointer, Type="String", Overwrite=True)
    assert schedule.check(parts(monitored), Stretch(SINCE, UNTIL, hourly=True))["model"] is None


def test_metered_cost_is_the_sum_of_the_metrics(monitored: MonitoredStack) -> None:
    now = datetime.now(UTC)
    before = monitoring.metered(monitored, now - timedelta(hours=1), now)
    sums = {
        ("stream_features", "EstimatedCostUSD"): [0.25, 0.25],
        ("stream_features", "DynamoDbWriteCostUSD"): [0.5],
        ("scoring", "EstimatedCostUSD"): [0.3],
        ("scoring", "LambdaDurationCostUSD"): [0.3],
        ("scoring", "DecisionsMade"): [400_000, 100_000],
    }
    for (service, name), values in sums.items():
        dimensions = [{"Name": "service", "Value": service}, {"Name": "stage", "Value": "dev"}]
        for value in values:
            data = {"MetricName": name, "Dimensions": dimensions, "Timestamp": now, "Value": value}
            monitored.client("cloudwatch").put_metric_data(Namespace="streamscore", MetricData=[data])
    after = monitoring.metered(monitored, now - timedelta(hours=1), now)
    assert after.decisions - before.decisions == 500_000
    assert after.total_usd - before.total_usd == pytest.approx(0.8)
    assert after.by_component_usd["DynamoDbWrite"] - before.by_component_usd.get(
        "DynamoDbWrite", 0
    ) == pytest.approx(0.5)
