"""From a model's bundle to the layout its decisions are counted by, and back to baseline counts. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from monitor.bins import Bins, Floats
from monitor.decided import BARE, MAX_CELLS, Decided, Layout, observe
from monitor.images import News, Seen
from monitor.labelled import Labelled, LabelSketch, observe_labels
from monitor.sketch import DECISIONS, zero
from monitor.tally import Tally, Who, merged
from scoring.bundle import Baseline, Bundle, Thresholds
from scoring.policy import by_score

Columns = Sequence[int] | None
"""Where a model's features lie in a spec's vector; None if the spec does not have them all."""


@dataclass(frozen=True)
class Model:
    """What counting needs of one model version: its layout, its features' places by spec sha256, and the
    thresholds by which it would decide.
    """

    layout: Layout = BARE
    columns: Mapping[str, Columns] = field(default_factory=dict)
    limits: Thresholds | None = None


def layout_of(bundle: Bundle) -> Layout:
    """The layout of a bundle's baselines; of the score alone if its features would not fit a state."""
    score = _bins("score", bundle.score)
    whole = Layout(tuple(_bins(f.name, f.baseline) for f in bundle.features), score)
    return whole if whole.cells <= MAX_CELLS else Layout((), score)


def observed(found: News, models: Mapping[str, Model]) -> dict[Who, Tally]:
    """One tally a model version and role of what a batch says happened."""
    tallies: dict[Who, Tally] = {}
    for who in sorted({_who(seen) for part in found for seen in part}):
        model = models.get(who.model, Model())
        decided, labelled, unlabelled = ([s for s in part if _who(s) == who] for part in found)
        sketch = observe(model.layout, _decided(decided, model)) if decided else zero(model.layout)
        back = {day: zero(one.layout) - one for day, one in _by_day(unlabelled, model).items()}
        tallies[who] = Tally(sketch, merged(_by_day(labelled, model), back))
    return tallies


def _who(seen: Seen) -> Who:
    return Who(seen.model, seen.challenger)


def _bins(name: str, baseline: Baseline) -> Bins:
    return Bins(name, baseline.edges, baseline.mean, baseline.std if baseline.std > 0 else 1.0)


def _decided(seen: Sequence[Seen], model: Model) -> Decided:
    return Decided(
        features=_features(seen, model),
        scores=_scores(seen),
        decisions=_decisions(seen, model),
        latencies_ms=np.array([s.latency_ms for s in seen], dtype=np.float64),
    )


def _by_day(seen: Iterable[Seen], model: Model) -> dict[str, LabelSketch]:
    days: dict[str, list[Seen]] = {}
    for one in seen:
        days.setdefault(one.day, []).append(one)
    return {day: observe_labels(_labelled(some, model)) for day, some in sorted(days.items())}


def _labelled(seen: Sequence[Seen], model: Model) -> Labelled:
    return Labelled(
        labels=np.array([bool(s.label) for s in seen]),
        scores=_scores(seen),
        decisions=_decisions(seen, model),
        amounts=np.array([s.amount for s in seen], dtype=np.float64),
    )


def _scores(seen: Sequence[Seen]) -> Floats:
    return np.array([s.score for s in seen], dtype=np.float64)


def _decisions(seen: Sequence[Seen], model: Model) -> Sequence[str]:
    """What was decided; of a challenger, what its thresholds would have made of its scores."""
    if not seen or not seen[0].challenger:
        return [s.decision for s in seen]
    severity = by_score(_scores(seen), len(seen), model.limits, "approve")
    return [DECISIONS[level] for level in severity.tolist()]


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
