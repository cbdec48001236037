"""What a run says at its end: one value that becomes JSON, a terminal page or an HTML page."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from streamscore.demo.checks import Check, Parity
from streamscore.promotion.gate import Check as GateCheck


class Decided(msgspec.Struct, frozen=True):
    """One decision as the table holds it; only what the summary needs."""

    id: str
    decision: str
    score: float | None
    label: bool | None
    latency_ms: float
    model: str | None
    vector: bytes


class Latency(msgspec.Struct, frozen=True):
    """From a record's arrival on the stream to its decision, in milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    histogram: tuple[tuple[float, int], ...]  # upper edge, count


class Performance(msgspec.Struct, frozen=True):
    """How scores ranked the labels that came back; None where a class is missing."""

    labelled: int
    positives: int
    roc_auc: float | None
    average_precision: float | None


class Drift(msgspec.Struct, frozen=True):
    """Population stability index of one feature, or of the score, against the training window."""

    name: str
    psi: float


class Cost(msgspec.Struct, frozen=True):
    """What the run would have cost in AWS at list prices, by function, and for a million decisions."""

    usd: float
    usd_per_million_decisions: float
    by_function: dict[str, float]


class Ranked(msgspec.Struct, frozen=True):
    """How champion and challenger rank the same matured labels: ROC AUC and average precision of each, None
    where labels are of one kind.
    """

    labels: int
    positives: int
    champion: tuple[float | None, float | None]
    challenger: tuple[float | None, float | None]


class Life(msgspec.Struct, frozen=True):
    """What became of champion and challenger: decisions by each, and how the challenger's, in shadow, compare
    with what was decided. `gate` is what the gate said of the challenger when it was promoted, `forced` which
    of its checks were overruled, and `reason` why; `backtest` is how both ranked matured labels by then.
    """

    champion: str
    challenger: str
    by_champion: int
    by_challenger: int
    shadowed: int
    flips: int
    alerts: int
    challenger_alerts: int
    gate: tuple[GateCheck, ...]
    forced: tuple[str, ...]
    reason: str
    backtest: Ranked | None


class Unattended(msgspec.Struct, frozen=True):
    """The act about drift in numbers: the model that a run made, why it ran, and how long each turn took
    (None: it did not come). `earlier` are runs before it, with how they ended; `because` is why the model was
    taken back.
    """

    champion: str
    model: str | None
    run: str
    why: tuple[str, ...]
    earlier: dict[str, str]
    promoted_after_s: float | None
    alarm_over_after_s: float | None
    rolled_back_after_s: float | None
    because: str


class Summary(msgspec.Struct, frozen=True):
    """Everything a run found out. It held if every check did."""

    checks: tuple[Check, ...]
    events: dict[str, int]
    decisions: dict[str, int]
    latency: Latency | None = None
    performance: Performance | None = None
    drift: tuple[Drift, ...] = ()
    cost: Cost | None = None
    parity: tuple[Parity, ...] = ()
    model: str | None = None
    life: Life | None = None
    unattended: Unattended | None = None
    seconds: dict[str, float] = {}

    @property
    def held(self) -> bool:
        """Whether every check held; without any check nothing is claimed."""
        return bool(self.checks) and all(check.held for check in self.checks)


LATENCY_EDGES_MS = (50, 100, 200, 300, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, np.inf)


def latency_of(latencies_ms: Sequence[float]) -> Latency | None:
    """Percentiles and a histogram; None of nothing."""
    if not latencies_ms:
        return None
    values = np.asarray(latencies_ms, np.float64)
    counts, _ = np.histogram(values, (-np.inf, *LATENCY_EDGES_MS))
    p50, p99 = np.percentile(values, (50, 99))
    edges = zip(LATENCY_EDGES_MS, counts.tolist(), strict=True)
    return Latency(float(p50), float(p99), float(values.max()), tuple((float(e), int(n)) for e, n in edges))


def performance_of(decided: Sequence[Decided]) -> Performance:
    """ROC AUC and average precision over the decisions that have both a score and a label."""
    both = [(one.label, one.score) for one in decided if one.label is not None and one.score is not None]
    labels: npt.NDArray[np.bool_] = np.array([label for label, _ in both], bool)
    scores: npt.NDArray[np.float64] = np.array([score for _, score in both], np.float64)
    if not (labels.any() and (~labels).any()):
        return Performance(len(both), int(labels.sum()), None, None)
    return Performance(
        len(both),
        int(labels.sum()),
        float(roc_auc_score(labels, scores)),
        float(average_precision_score(labels, scores)),
    )
