"""A small spec and real models trained on it: what the tests of training, scoring and the API share."""

import functools
from pathlib import Path

import numpy as np
import polars as pl

from common.settings import code_root
from scoring.bundle import Bundle
from scoring.model import Model
from stream_features import spec as specs
from stream_features.spec import Spec
from streamscore.training.estimators import forest
from streamscore.training.labelled import Table
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.thresholds import Alerts
from streamscore.training.train import Recipe, Trained, fit

START_MS = 1_700_000_000_000
WINDOWS = Windows(train_ms=28 * DAY_MS)
SPEC = """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "7d"
keep = ["amount", "shop"]
fields = { amount = "decimal(2)", shop = "string?" }

[entities]
card = "card"
terminal = "terminal"

[[feature]]
name = "amount"
op = "value"
of = "amount"

[[feature]]
name = "card_count_{window}"
entity = "card"
op = "count"
windows = ["1d", "7d"]

[[feature]]
name = "card_mean_1d"
entity = "card"
op = "mean"
of = "amount"
windows = ["1d"]
"""


@functools.cache
def spec() -> Spec:
    return specs.parse(SPEC)


def table(rows: int = 3000, days: int = 30, seed: int = 0, missing: float = 0.1) -> Table:
    """Fraud is a high amount, a little noise, and often a missing mean."""
    random = np.random.default_rng(seed)
    times = START_MS + np.sort(random.integers(0, days * DAY_MS, rows))
    features = random.gamma(2.0, 50.0, (rows, 4)).astype(np.float32)
    features[:, 1:3] = random.integers(1, 9, (rows, 2))
    features[random.random(rows) < missing, 3] = np.nan
    odds = features[:, 0] / 40 - 6 + 2 * np.isnan(features[:, 3])
    return Table(times, features, random.random(rows) < 1 / (1 + np.exp(-odds)))


def write_features(path: Path, rows: Table) -> None:
    """The table as `backfill` writes it."""
    count = len(rows.times)
    columns = {
        "id": [f"e{n}" for n in range(count)],
        "at": pl.Series(rows.times).cast(pl.Datetime("ms", "UTC")),
        "card": [f"c{n % 50}" for n in range(count)],
        "terminal": [f"t{n % 80}" for n in range(count)],
        **dict(zip(spec().feature_names, rows.features.T, strict=True)),
        "fraud": rows.labels,
    }
    pl.DataFrame(columns).write_parquet(path)


@functools.cache
def trained(seed: int = 0) -> Trained:
    """A small forest, proven; another seed is another model."""
    small = forest().set_params(n_estimators=10, n_jobs=1)
    return fit(table(seed=seed), spec(), Recipe(WINDOWS, Alerts(0.1, 0.02), estimator=small))


@functools.cache
def shipped(seed: int = 0) -> Trained:
    """A model of the spec that ships: three trees, grown on noise."""
    spec, random = specs.parse((code_root({}) / "features.toml").read_text()), np.random.default_rng(seed)
    rows = table(rows=1500, seed=seed)
    features = random.gamma(2.0, 20.0, (1500, len(spec.features))).astype(np.float32)
    few = forest().set_params(n_estimators=3, n_jobs=1)
    return fit(Table(rows.times, features, rows.labels), spec, Recipe(estimator=few))


def model(seed: int = 0) -> Model:
    return Model(trained(seed).bundle, trained(seed).model)


def bundle() -> Bundle:
    return trained().bundle
