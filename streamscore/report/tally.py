"""Decisions, one after the other in any order, as the counts that the report shows. Memory does not grow with
their number. Pure.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from monitor.bins import LATENCY_EDGES_MS, Counts
from monitor.compare import quantile_ms
from monitor.fared import fared
from monitor.images import NO_MODEL
from monitor.labelled import LABELS, Labelled, LabelSketch, observe_labels
from monitor.sketch import zero
from scoring.policy import ACTIONS
from streamscore.decided.stored import Decided
from streamscore.report.content import Bin, Month, Traffic, Why
from streamscore.report.curves import calibration, precision_recall

STEPS_S = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 86_400, 604_800)
"""Widths of a bin; each is a multiple of the one before, so that bins can be put together."""
MOST_BINS = 100
_EDGES = LATENCY_EDGES_MS.tolist()
_CHUNK = 10_000


class Tally:
    """Counts what `add` is given."""

    def __init__(self) -> None:
        self.models: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.unlabelled = 0
        self.on_both_paths = self.on_both_paths_alike = 0
        self._step = 0
        self._bins: dict[int, Counts] = {}
        self._why: dict[tuple[str, str], Counter[str]] = {}
        self._labels: dict[str, _Labels] = {}

    def add(self, decided: Decided) -> None:
        """Count one decision."""
        made = decided.decision
        self.models[made.model or NO_MODEL] += 1
        self.sources[made.source] += 1
        if decided.second_path_score is not None:
            self.on_both_paths += 1
            self.on_both_paths_alike += decided.second_path_score == made.score
        self._add_to_bin(made.scored_at_ms, decided.action, made.scored_at_ms - made.arrival_ms)
        for named in _named(decided):
            self._why.setdefault(named, Counter())[decided.action] += 1
        if decided.label is None or decided.label_time_ms is None:
            self.unlabelled += 1
        elif made.score is not None:
            month = datetime.fromtimestamp(decided.label_time_ms / 1000, tz=UTC).strftime("%Y-%m")
            self._labels.setdefault(month, _Labels()).add(decided.label, made.score, decided.action)

    def traffic(self) -> Traffic:
        """Decisions over time, empty bins among them."""
        step = STEPS_S[self._step]
        numbers = range(min(self._bins), max(self._bins) + 1) if self._bins else ()
        nothing = _nothing()
        bins = tuple(_bin(number * step * 1000, self._bins.get(number, nothing)) for number in numbers)
        latency = sum(self._bins.values(), nothing)[len(ACTIONS) :]
        cells = zip(_EDGES, (*_EDGES[1:], math.inf), latency[1:].tolist(), strict=True)
        return Traffic(step, bins, _trimmed(list(cells)), _quantile(latency, 0.50), _quantile(latency, 0.99))

    def months(self) -> tuple[Month, ...]:
        """By month in which the label became known; decisions without a score have no place in it."""
        by_month = ((month, labels.total()) for month, labels in sorted(self._labels.items()))
        return tuple(
            Month(month, told, precision_recall(labels), calibration(labels))
            for month, labels in by_month
            if (told := fared([labels]))
        )

    def why(self) -> tuple[Why, ...]:
        """What decisions name, the most frequent first."""
        found = [
            Why(kind, name, *(counts[action] for action in ACTIONS))
            for (kind, name), counts in self._why.items()
        ]
        return tuple(
            sorted(found, key=lambda one: (-one.approve - one.review - one.block, one.kind, one.name))
        )

    def _add_to_bin(self, at_ms: int, action: str, latency_ms: int) -> None:
        number = at_ms // 1000 // STEPS_S[self._step]
        new = number not in self._bins
        cells = self._bins.setdefault(number, _nothing()) if new else self._bins[number]
        cells[ACTIONS.index(action)] += 1
        cells[len(ACTIONS) + bisect_right(_EDGES, latency_ms)] += 1
        while new and max(self._bins) - min(self._bins) >= MOST_BINS and self._step + 1 < len(STEPS_S):
            self._coarsen()

    def _coarsen(self) -> None:
        times = STEPS_S[self._step + 1] // STEPS_S[self._step]
        wider: dict[int, Counts] = {}
        for number, cells in self._bins.items():
            wider[number // times] = wider.get(number // times, _nothing()) + cells
        self._bins, self._step = wider, self._step + 1


class _Labels:
    """Labels of one month, summed up ten thousand at a time."""

    def __init__(self) -> None:
        self._sum: LabelSketch = zero(LABELS)
        self._rows: list[tuple[bool, float, str]] = []

    def add(self, label: bool, score: float, action: str) -> None:
        self._rows.append((label, score, action))
        if len(self._rows) >= _CHUNK:
            self._sum = self.total()
            self._rows.clear()

    def total(self) -> LabelSketch:
        if not self._rows:
            return self._sum
        labels, scores, actions = zip(*self._rows, strict=True)
        unknown = np.full(len(labels), math.nan)
        rows = Labelled(np.array(labels, bool), np.array(scores, np.float64), actions, unknown)
        return self._sum + observe_labels(rows)


def _named(decided: Decided) -> Iterator[tuple[str, str]]:
    made = decided.decision
    if made.absent:
        yield "no score", made.absent
    yield from (("feature", reason.feature) for reason in made.reasons)
    yield from (("rule", name) for name in made.verdict.rules)


def _nothing() -> Counts:
    return np.zeros(len(ACTIONS) + len(_EDGES) + 1, dtype=np.int64)


def _bin(start_ms: int, cells: Counts) -> Bin:
    latency = cells[len(ACTIONS) :]
    approve, review, block = cells[: len(ACTIONS)].tolist()
    return Bin(start_ms, approve, review, block, _quantile(latency, 0.50), _quantile(latency, 0.99))


def _quantile(latency: Counts, share: float) -> float:
    """As the monitor reads it from its windows, whose last cell is for decisions without a latency."""
    return quantile_ms(np.append(latency, 0), share)


def _trimmed(cells: list[tuple[float, float, int]]) -> tuple[tuple[float, float, int], ...]:
    """Without the empty cells at both ends."""
    used = [at for at, (*_, count) in enumerate(cells) if count]
    return tuple(cells[used[0] : used[-1] + 1]) if used else ()
