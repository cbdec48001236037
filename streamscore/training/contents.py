"""What a bundle says of its features and of the rows it was made from."""

from collections.abc import Sequence

import numpy as np

from scoring.bundle import Feature, Period
from stream_features.spec import Spec
from streamscore.moments import rfc3339
from streamscore.training.baselines import baseline
from streamscore.training.labelled import Floats, Table


def features(
    spec: Spec, learn: Floats, check: Floats, places: Sequence[int] | None = None
) -> tuple[Feature, ...]:
    """The spec's features, or those at `places` in it: a column of the rows each.

    Medians of what trained the model; baselines of the test, as the score's is: it is the latest, and its
    windows have filled, where a short history's train rows still count up and would look like drift.
    """
    names, hashes = spec.feature_names, spec.definition_hashes
    columns = zip(range(len(names)) if places is None else places, learn.T, check.T, strict=True)
    return tuple(
        Feature(
            name=names[n], definition=hashes[n], median=_median(learned), baseline=baseline(names[n], checked)
        )
        for n, learned, checked in columns
    )


def _median(column: Floats) -> float | None:
    """The lower median: a value that occurred, so a feature of whole numbers keeps to them."""
    known = column[~np.isnan(column)]
    return float(str(np.quantile(known, 0.5, method="lower"))) if known.size else None


def period(table: Table, since_ms: int, until_ms: int) -> Period:
    """The rows of a window."""
    return Period(
        since=rfc3339(since_ms),
        until=rfc3339(until_ms),
        rows=len(table.times),
        positives=int(table.labels.sum()),
    )
