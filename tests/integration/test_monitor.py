"""The monitor on the emulator: stream batches in, windows in the table, drift, performance and cost out."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from common import telemetry
from common.errors import InvalidInputError
from monitor import handler, schedule
from monitor.sketch import Bins
from monitor.store import Store
from scoring import bundle as bundles
from scoring import pointers
from scoring.bundle import Baseline, Bundle
from stream_features import spec, spec_model
from streamscore import monitoring
from tests.decision_images import batch, change, decision

SPEC = spec.parse(
    """
[event]
id = "id"
time = "time"
fields = { amount = "decimal(2)", distance = "float" }
[entities]
customer = "customer_id"
[[feature]]
name = "distance"
op = "value"
of = "distance"
[[feature]]
name = "amount"
op = "value"
of = "amount"
"""
)
SINCE, UNTIL = "2026-11-24T16:00:00Z", "2026-11-24T17:00:00Z"
AMOUNT_EDGES, SCORE_EDGES = (0.0, 10.0, 20.0, 40.0, 100.0), (0.0, 0.1, 0.5, 1.0)


@dataclass(frozen=True)
class EmulatedStack:
    outputs: dict[str, str]
    client: Callable[[str], Any]
    version: str = ""
    clients: dict[str, Any] = field(default_factory=dict)


def baseline(edges: tuple[float, ...], values: np.ndarray) -> Baseline:
    counts = Bins("x", edges).count(values).tolist()
    return Baseline(edges=edges, counts=tuple(counts), mean=float(values.mean()), std=float(values.std()))


def amounts(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 10.0, count).astype(np.float32).astype(np.float64)


def make_bundle() -> Bundle:
    """A model of the amount alone, whose place in the spec's vector is the second."""
    trained = amounts(20_000, 1)
    period = bundles.Period(since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z", rows=1, positives=1)
    definition = SPEC.definition_hashes[SPEC.feature_names.index("amount")]
    feature = bundles.Feature(
        name="amount", definition=definition, median=15.0, baseline=baseline(AMOUNT_EDGES, trained)
    )
    return bundles.seal(
        Bundle(
            estimator="none",
            spec_sha256=SPEC.sha256,
            model_sha256="0" * 64,
            features=(feature,),
            score=baseline(SCORE_EDGES, np.clip(trained / 100, 0, 1)),
            thresholds=bundles.Thresholds(review=0.5, block=0.9),
            train=period,
            test=period,
            metrics={},
            conversion=bundles.Conversion(rows=1, max_difference=0.0, flips=0),
        )
    )


@pytest.fixture
def stack(client: Callable[[str], Any]) -> EmulatedStack:
    """A table, a bucket with a bundle and a spec, and a champion's pointer."""
    name = f"monitor-{uuid.uuid4().hex[:8]}"
    client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    s3, bundle = client("s3"), make_bundle()
    data = bundles.encode(bundle)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=pointers.bundle_key(bundle.version), Body=data)
    s3.put_object(Bucket=name, Key=f"specs/{SPEC.sha256}.json", Body=spec_model.to_json(SPEC))
    pointer = pointers.Pointer(bundle.version, bundles.sha256(data))
    client("ssm").put_parameter(Name=f"/{name}/champion", Value=pointers.encode(pointer), Type="String")
    outputs = {"MonitorTableName": name, "DataBucketName": name, "PointerPrefix": f"/{name}"}
    return EmulatedStack(outputs, client, bundle.version)


def decided(version: str, values: np.ndarray, label: bool | None = None) -> list[dict[str, Any]]:
    """Decisions of these amounts, scored a hundredth of them."""
    return [
        change(
            decision(
                score=min(1.0, float(value) / 100),
                features=[0.5, float(value)],
                model=version,
                label=label,
                decision="review" if value > 50 else "approve",
            )
            | {"spec": {"S": SPEC.sha256}}
        )
        for value in values
    ]


def play(store: Store, batches: list[list[dict[str, Any]]], shard: str = "shard-1") -> None:
    """One window of one shard, to its end."""
    state: dict[str, Any] = {}
    for records in batches:
        state = handler.count_batch(batch(records, state, shard=shard), store, 0.0)["state"]
    handler.count_batch(batch([], state, shard=shard, final=True), store, 0.0)


def test_quiet_windows_show_no_drift_and_a_scaled_feature_is_named(stack: EmulatedStack) -> None:
    store = monitoring.store_of(stack)
    rows = decided(stack.version, amounts(2000, 2))
    play(store, [rows[:700], rows[700:]])
    since, until = datetime(2026, 11, 24, 16, tzinfo=UTC), datetime(2026, 11, 24, 17, tzinfo=UTC)
    version, quiet = monitoring.drift(stack, since, until)
    assert (version, quiet.decided) == (stack.version, 2000)
    assert quiet.score.psi < 0.02
    assert quiet.features[0].psi < 0.02
    assert abs(quiet.features[0].mean_shift) < 0.1
    play(store, [decided(stack.version, amounts(6000, 3) * 1.5)], shard="shard-2")
    _, shifted = monitoring.drift(stack, since, until)
    assert shifted.decided == 8000
    assert shifted.features[0].name == "amount"
    assert shifted.features[0].beyond_noise
    assert shifted.features[0].psi > 0.1
    assert shifted.features[0].mean_shift > 0.3


def test_the_hourly_check_emits_drift_and_performance(
    stack: EmulatedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = monitoring.store_of(stack)
    low, high = amounts(300, 4), amounts(20, 5) + 50
    play(store, [decided(stack.version, low, label=False), decided(stack.version, high, label=True)])
    telemetry.metrics().clear_metrics()
    found = schedule.check(store, stack.outputs["PointerPrefix"], SINCE, UNTIL)
    emitted = {name: metric["Value"] for name, metric in telemetry.metrics().metric_set.items()}
    telemetry.metrics().clear_metrics()
    assert found == {"model": stack.version, "since": SINCE, "until": UNTIL, "decided": 320}
    assert emitted["ScorePsi"][0] > 0
    assert emitted["WorstFeaturePsi"][0] > 0
    assert 0.98 < emitted["RocAuc"][0] <= 1.0
    assert emitted["AveragePrecision"][0] > 0.7


def test_windows_outside_the_stretch_are_not_read(stack: EmulatedStack) -> None:
    store = monitoring.store_of(stack)
    records = decided(stack.version, amounts(10, 6))
    for start in ("2026-11-24T15:55:00Z", SINCE, "2026-11-24T16:55:00Z", UNTIL):
        handler.count_batch(batch(records, start=start, final=True), store, 0.0)
    layout = store.model(stack.version).layout
    assert [start for start, _ in store.windows(stack.version, SINCE, UNTIL, layout)] == [
        SINCE,
        "2026-11-24T16:55:00Z",
    ]


def test_repeating_a_windows_end_changes_nothing(stack: EmulatedStack) -> None:
    store = monitoring.store_of(stack)
    event = batch(decided(stack.version, amounts(10, 7)), final=True)
    for _ in range(2):
        handler.count_batch(event, store, 0.0)
    since = datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert monitoring.counted(stack, stack.version, since, since + timedelta(hours=1)) == 10


def test_without_a_promoted_model_drift_says_what_to_do(stack: EmulatedStack) -> None:
    stack.client("ssm").delete_parameter(Name=f"{stack.outputs['PointerPrefix']}/champion")
    now = datetime.now(UTC)
    with pytest.raises(InvalidInputError, match="streamscore promote"):
        monitoring.drift(stack, now, now)
    assert (
        schedule.check(monitoring.store_of(stack), stack.outputs["PointerPrefix"], SINCE, UNTIL)["model"]
        is None
    )


def test_metered_cost_is_the_sum_of_the_metrics(stack: EmulatedStack) -> None:
    now = datetime.now(UTC)
    before = monitoring.metered(stack, now - timedelta(hours=1), now)
    sums = {
        ("stream_features", "EstimatedCostUSD"): [0.25, 0.25],
        ("stream_features", "DynamoDbWriteCostUSD"): [0.5],
        ("scoring", "EstimatedCostUSD"): [0.3],
        ("scoring", "LambdaCostUSD"): [0.3],
        ("scoring", "DecisionsMade"): [400_000, 100_000],
    }
    for (service, name), values in sums.items():
        dimensions = [{"Name": "service", "Value": service}, {"Name": "stage", "Value": "dev"}]
        for value in values:
            data = {"MetricName": name, "Dimensions": dimensions, "Timestamp": now, "Value": value}
            stack.client("cloudwatch").put_metric_data(Namespace="streamscore", MetricData=[data])
    after = monitoring.metered(stack, now - timedelta(hours=1), now)
    assert after.decisions - before.decisions == 500_000
    assert after.total_usd - before.total_usd == pytest.approx(0.8)
    assert after.by_component_usd["DynamoDbWrite"] - before.by_component_usd.get(
        "DynamoDbWrite", 0
    ) == pytest.approx(0.5)
