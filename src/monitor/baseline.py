"""From a model's bundle to the layout its decisions are counted by, and back to baseline counts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.images import News, Seen
from monitor.sketch import (
    BARE,
    MAX_CELLS,
    Bins,
    Decided,
    Floats,
    Labelled,
    Layout,
    Sketch,
    observe,
    observe_labels,
    zero,
)
from scoring.bundle import Baseline, Bundle

Columns = Sequence[int] | None
"""Where a model's features lie in a spec's vector; None if the spec does not have them all."""


@dataclass(frozen=True)
class Model:
    """What counting needs of one model version: its layout, and its features' places by spec sha256."""

    layout: Layout = BARE
    columns: Mapping[str, Columns] = field(default_factory=dict)


def layout_of(bundle: Bundle) -> Layout:
    """The layout of a bundle's baselines; of the score alone if its features would not fit a state."""
    score = _bins("score", bundle.score)
    whole = Layout(tuple(_bins(f.name, f.baseline) for f in bundle.features), score)
    return whole if whole.cells <= MAX_CELLS else Layout((), score)


def observed(found: News, models: Mapping[str, Model]) -> dict[str, Sketch]:
    """One sketch a model version of what a batch says happened."""
    sketches: dict[str, Sketch] = {}
    for version in sorted({seen.model for part in found for seen in part}):
        model = models.get(version, Model())
        decided, labelled, unlabelled = ([s for s in part if s.model == version] for part in found)
        total = observe(model.layout, _decided(decided, model)) if decided else zero(model.layout)
        if labelled:
            total += observe_labels(model.layout, _labelled(labelled))
        if unlabelled:
            total -= observe_labels(model.layout, _labelled(unlabelled))
        sketches[version] = total
    return sketches


def _bins(name: str, baseline: Baseline) -> Bins:
    return Bins(name, baseline.edges, baseline.mean, baseline.std if baseline.std > 0 else 1.0)


def _decided(seen: Sequence[Seen], model: Model) -> Decided:
    return Decided(
        features=_features(seen, model),
        scores=np.array([s.score for s in seen], dtype=np.float64),
        decisions=[s.decision for s in seen],
        latencies_ms=np.array([s.latency_ms for s in seen], dtype=np.float64),
    )


def _labelled(seen: Sequence[Seen]) -> Labelled:
    return Labelled(
        labels=np.array([bool(s.label) for s in seen]),
        scores=np.array([s.score for s in seen], dtype=np.float64),
        decisions=[s.decision for s in seen],
    )


def _features(seen: Sequence[Seen], model: Model) -> Floats:
    """[n, F] in the layout's order; NaN where a row's spec does not have the model's features."""
    table = np.full((len(seen), len(model.layout.features)), np.nan)
    for spec in {s.spec for s in seen}:
        places = model.columns.get(spec)
        if not places or not model.layout.features:
            continue
        rows = [n for n, s in enumerate(seen) if s.spec == spec and s.features]
        if rows:
            vectors = np.frombuffer(b"".join(seen[n].features for n in rows), dtype="<f4")
            table[rows] = vectors.reshape(len(rows), -1)[:, places]
    return table
