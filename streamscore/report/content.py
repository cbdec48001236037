"""What the report says, as one value: it becomes the page, and `report --json`. NaN is "not known"."""

import msgspec

from monitor.compare import Comparison
from monitor.cost import Cost
from monitor.fared import Labels
from monitor.look import Looked
from streamscore.demo.checks import Check, Parity
from streamscore.evaluation.measured import Evaluation


class Bin(msgspec.Struct, frozen=True):
    """Decisions made in `[start_ms, start_ms + step)`, by action, and how long after arrival."""

    start_ms: int
    approve: int
    review: int
    block: int
    p50_ms: float
    p99_ms: float

    @property
    def decided(self) -> int:
        """All of them."""
        return self.approve + self.review + self.block


class Traffic(msgspec.Struct, frozen=True):
    """Decisions over time, in bins without gaps, and all their latencies: (from ms, below ms, count)."""

    step_s: int
    bins: tuple[Bin, ...]
    latency: tuple[tuple[float, float, int], ...]
    p50_ms: float
    p99_ms: float

    @property
    def decided(self) -> int:
        """Decisions in all bins."""
        return sum(one.decided for one in self.bins)


class Distribution(msgspec.Struct, frozen=True):
    """One variable's cells (below, bins, above, missing) in the reference and now, as shares of all."""

    name: str
    cells: tuple[str, ...]
    reference: tuple[float, ...]
    now: tuple[float, ...]


class Point(msgspec.Struct, frozen=True):
    """PSI of some windows that follow each other, by variable; `noise` is what sampling explains of the
    score's.
    """

    start: str
    decided: int
    psi: dict[str, float]
    noise: float


class Drift(msgspec.Struct, frozen=True):
    """What the monitor saw of the champion, and of a challenger, and the policy's bounds. `drifted` are names
    of variables, the score among them.
    """

    champion: Looked
    challenger: Looked | None
    psi_alert: float
    min_positives: int
    budget_usd: float | None
    drifted: tuple[str, ...]
    distributions: tuple[Distribution, ...]
    over_time: tuple[Point, ...]

    @property
    def comparison(self) -> Comparison:
        """The champion's windows against their reference."""
        return self.champion.whole.comparison


class Calibrated(msgspec.Struct, frozen=True):
    """Labelled decisions of like scores: their mean score, the share that was positive with what it may be at
    95 % confidence, how many.
    """

    score: float
    positive: float
    low: float
    high: float
    labelled: int


class Month(msgspec.Struct, frozen=True):
    """Labels that became known in a month (UTC): how scores did, (recall, precision) from the highest score
    down, and calibration.
    """

    month: str
    labels: Labels
    curve: tuple[tuple[float, float], ...]
    calibration: tuple[Calibrated, ...]


class Why(msgspec.Struct, frozen=True):
    """A feature, a rule or a missing score that decisions name, and how many of each action name it."""

    kind: str
    name: str
    approve: int
    review: int
    block: int


class Count(msgspec.Struct, frozen=True):
    """A number and what it counts."""

    name: str
    count: int
    meaning: str


class Move(msgspec.Struct, frozen=True):
    """What the champion's pointer was moved to, when (RFC 3339), how, by whom and why."""

    at: str
    model: str
    what: str
    why: str


class Lineage(msgspec.Struct, frozen=True):
    """The champion's way, (step, what is known of it), and the pointer's moves, the newest first."""

    steps: tuple[tuple[str, str], ...]
    moves: tuple[Move, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. Times are RFC 3339, UTC; `checks`, `parity` and `seconds` are a demo's; `evaluation` is of
    labelled rows in a file, not of the stack's decisions.
    """

    stack: str
    since: str
    until: str
    made: str
    model: str | None
    traffic: Traffic
    drift: Drift | None
    months: tuple[Month, ...]
    unlabelled: int
    why: tuple[Why, ...]
    cost: Cost
    prices: str
    agree: tuple[Count, ...]
    counts: tuple[Count, ...]
    lineage: Lineage | None = None
    checks: tuple[Check, ...] = ()
    parity: tuple[Parity, ...] = ()
    seconds: dict[str, float] = {}
    evaluation: Evaluation | None = None
