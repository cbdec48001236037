"""A model of one amount, decisions it could have made, and its bundle: what the monitor's tests watch."""

from typing import Any

import numpy as np

from monitor.bins import Bins
from scoring import bundle as bundles
from scoring import pointers
from scoring.bundle import Baseline, Bundle
from stream_features import spec, spec_model
from tests.decision_images import SCORED_AT_MS, decision

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
AMOUNT_EDGES, SCORE_EDGES = (0.0, 10.0, 20.0, 40.0, 100.0), (0.0, 0.1, 0.5, 1.0)


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


def publish(
    s3: Any, bucket: str, bundle: Bundle | None = None, of: spec_model.Spec = SPEC
) -> tuple[str, str]:
    """(version, pointer) of a bundle (this one), stored with its spec as `register` and `local up` do."""
    bundle = bundle or make_bundle()
    data = bundles.encode(bundle)
    s3.put_object(Bucket=bucket, Key=pointers.bundle_key(bundle.version), Body=data)
    s3.put_object(Bucket=bucket, Key=f"specs/{of.sha256}.json", Body=spec_model.to_json(of))
    return bundle.version, pointers.encode(pointers.Pointer(bundle.version, bundles.sha256(data)))


def images(
    version: str, values: np.ndarray, label: bool | None = None, scored_at_s: float = SCORED_AT_MS / 1000
) -> list[dict[str, Any]]:
    """Images of decisions about these amounts, scored a hundredth of them."""
    return [
        decision(
            f"{version}-{number}",
            score=min(1.0, float(value) / 100),
            features=[0.5, float(value)],
            model=version,
            label=label,
            decision="review" if value > 50 else "approve",
            scored_at_ms=round(scored_at_s * 1000),
        )
        | {"spec": {"S": SPEC.sha256}}
        for number, value in enumerate(values)
    ]
