"""The features of all raw data that was found good: every checked file, folded as one history."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import polars as pl

from common.errors import InvalidInputError
from monitor import drift
from monitor.bins import Bins
from monitor.look import calendar_of
from scoring.bundle import Bundle
from stream_features.entity_ids import unhashed
from stream_features.spec import Feature, Spec
from streamscore.retraining.place import Run, checked_keys, raw_key
from streamscore.training.backfill import write_features

CLEANED = "cleaned.parquet"
FEATURES = "history-features.parquet"
_LEAST_ROWS = 500
"""Fewer rows say nothing of a distribution."""


def cleaned(run: Run, but: Collection[str] = ()) -> list[Path]:
    """The cleaned files that checks left, the newest first, downloaded; none of the raw objects `but`."""
    keys = [key for key in checked_keys(run.place, CLEANED) if raw_key(key) not in but]
    return [run.download(key, f"checked-{n}.parquet") for n, key in enumerate(keys)]


def backfilled(spec: Spec, files: list[Path], scratch: Path) -> Path:
    """The FEATURES of these files' events; an event that several have is the first one's: the newest file
    corrects those before. InvalidInputError if there is no file.
    """
    if not files:
        raise InvalidInputError("there is no checked file: put events under raw-data/ of the bucket")
    whole, features = scratch / "history.parquet", scratch / FEATURES
    tables = [pl.scan_parquet(path) for path in files]
    pl.concat(tables, how="diagonal").sort(spec.event.time, maintain_order=True).sink_parquet(whole)
    write_features(unhashed(spec), whole, features)  # in cleaned files ids are hashes already
    return features


def new_rows(spec: Spec, features: Path, files: list[Path]) -> pl.DataFrame:
    """The FEATURES rows of the events in these files, with a column `@age_ms`: how much history is before."""
    ids = pl.concat(pl.read_parquet(path, columns=[spec.event.id]) for path in files)[spec.event.id]
    table = pl.scan_parquet(features)
    age = (pl.col(spec.event.time) - pl.col(spec.event.time).min()).dt.total_milliseconds()
    return (
        table.with_columns(age.alias("@age_ms")).filter(pl.col(spec.event.id).is_in(ids.implode())).collect()
    )


def drift_of(spec: Spec, rows: pl.DataFrame, champion: Bundle) -> dict[str, float]:
    """PSI of each feature against the champion's baseline, worst first, where sampling does not explain it.

    A row counts for a feature once the history before it is as long as the feature looks back: windows that
    still fill up would look like drift. What follows the calendar is left out, as a file has no whole week.
    """
    reach, calendar = _reach_ms(spec), calendar_of(champion, spec)
    found: dict[str, float] = {}
    for feature in champion.features:
        if feature.name in calendar or feature.name not in reach:
            continue
        filled = rows.filter(pl.col("@age_ms") >= reach[feature.name])[feature.name]
        if len(filled) < _LEAST_ROWS:
            continue
        baseline = feature.baseline
        bins = Bins(feature.name, baseline.edges, baseline.mean, baseline.std or 1.0)
        counts = bins.count(filled.cast(pl.Float64).to_numpy())
        psi = drift.psi(baseline.counts, counts)
        if psi > drift.psi_noise(len(counts), sum(baseline.counts), len(filled)):
            found[feature.name] = round(psi, 4)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _reach_ms(spec: Spec) -> dict[str, int]:
    """How far each feature looks back, by what it is made of."""
    by_name = {feature.name: feature for feature in spec.features}

    def reach(feature: Feature) -> int:
        sources = (by_name[name] for name in (feature.of, feature.to, feature.std) if name in by_name)
        own = feature.window_ms + feature.delay_ms + feature.half_life_ms
        return max([own, *(reach(source) for source in sources if source is not feature)])

    return {name: reach(feature) for name, feature in by_name.items()}


def vectors(spec: Spec, rows: pl.DataFrame) -> np.ndarray:
    """float32[n, F] in the spec's order."""
    return (
        rows.select(pl.col(spec.feature_names).cast(pl.Float32)).to_numpy(order="c").astype("<f4", copy=False)
    )
