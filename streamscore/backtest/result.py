"""What a backtest found, as plain data that becomes JSON. Counts are of decisions that were made again."""

import msgspec

from scoring.policy import ACTIONS


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """Of `read` decisions, how many were decided again, and why the others were not. `reproduced` and
    `not_reproduced`: where the model is the one that had scored, whether its score is the recorded one, bit
    for bit.
    """

    read: int = 0
    decided: int = 0
    left_out: dict[str, int] = {}
    reproduced: int = 0
    not_reproduced: int = 0


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A day of event time (UTC): alerts before and after."""

    day: str
    events: int
    review_before: int
    review_after: int
    block_before: int
    block_after: int


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """The sum of a kept field by decision before (outer) and after (inner), and in how many decisions it was
    there.
    """

    field: str
    present: int
    moved: dict[str, dict[str, float]]


class Reasons(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions flagged before and after alike: in how many the reasons name other features, in how many the
    first does; and the most frequent first reasons.
    """

    compared: int = 0
    changed: int = 0
    first_changed: int = 0
    first_before: dict[str, int] = {}
    first_after: dict[str, int] = {}


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A difference, after minus before, and its 95 % interval by a bootstrap of whole days; None where a
    side's measure is not defined, or the days are fewer than five.
    """

    difference: float | None
    low: float | None = None
    high: float | None = None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How well scores rank and alerts find, by matured labels. None where it is not defined."""

    roc_auc: float | None
    average_precision: float | None
    precision: float | None
    recall: float | None
    alert_rate: float | None


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """Matured labels, and what they say of the recorded decisions and of the new ones, on the same rows.

    `matured` are used; `young` came before the spec's label delay was over; `open` are not known. `blocked`
    of the matured are of events that were blocked, `control` of blocks that the control share let through;
    `weighted`: control stands for the blocks, each by 1 / its propensity, and the blocked are left out.
    """

    matured: int
    positives: int
    young: int
    open: int
    blocked: int
    blocked_open: int
    control: int
    weighted: bool
    days: int
    before: Quality
    after: Quality
    differences: dict[str, Interval] = {}


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded score against the new one, where both are."""

    compared: int = 0
    equal: int = 0
    mean_difference: float = 0.0
    max_difference: float = 0.0
    gained: int = 0
    lost: int = 0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `flips[before][after]` counts decisions; `models` (or why there was none) and `policies` are
    those that had decided, with how often; `since` and `until` are the first and last day of events.
    """

    model: str | None
    policy: str | None
    since: str | None
    until: str | None
    models: dict[str, int]
    policies: dict[str, int]
    sources: dict[str, int]
    coverage: Coverage
    flips: dict[str, dict[str, int]]
    days: tuple[Day, ...]
    review_capacity: int | None
    amount: Amount | None
    reasons: Reasons
    scores: Scores
    labels: Labels

    @property
    def flipped(self) -> int:
        """How many decisions would have been another."""
        return sum(self.flips[before][after] for before in ACTIONS for after in ACTIONS if before != after)
