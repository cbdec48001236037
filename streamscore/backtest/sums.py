"""What is summed over decisions made again: memory does not grow with their number, but for labelled rows."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from scoring.policy import ACTIONS
from streamscore.backtest.again import Again
from streamscore.backtest.labelled import DAY_MS, Labelled
from streamscore.backtest.result import Amount, Day, Reasons, Scores

_TOP = 10
Pair = tuple[str, str]


@dataclass
class Sums:
    """Everything but coverage. `amount` is the kept field to add up, if any."""

    amount: str | None
    flips: Counter[Pair] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    reproduced: Counter[bool] = field(default_factory=Counter)
    labels: Labelled = field(default_factory=Labelled)
    first_ms: int | None = None
    last_ms: int | None = None
    _days: Counter[tuple[int, str, str]] = field(default_factory=Counter)
    _amounts: dict[Pair, Decimal] = field(default_factory=dict)
    _with_amount: int = 0
    _scores: Counter[str] = field(default_factory=Counter)
    _difference: float = 0.0
    _largest: float = 0.0
    _reasons: Counter[str] = field(default_factory=Counter)
    _first: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))

    def add(self, one: Again) -> None:
        """Take a decision in."""
        decision, pair = one.before.decision, (one.before.action, one.verdict.decision)
        at_ms = decision.event_time_ms
        self.first_ms = at_ms if self.first_ms is None else min(self.first_ms, at_ms)
        self.last_ms = at_ms if self.last_ms is None else max(self.last_ms, at_ms)
        self.flips[pair] += 1
        self._days[(at_ms // DAY_MS, *pair)] += 1
        self.models[decision.model or decision.absent] += 1
        self.policies[decision.policy] += 1
        self.sources[decision.source] += 1
        if one.own:
            self.reproduced[one.score == decision.score] += 1
        self._add_amount(decision.kept.get(self.amount or ""), pair)
        self._add_scores(decision.score, one.score)
        if "approve" not in pair:
            self._add_reasons(one)
        self.labels.add(one)

    def matrix(self) -> dict[str, dict[str, int]]:
        """Counts by decision before and after, all nine."""
        return {before: {after: self.flips[before, after] for after in ACTIONS} for before in ACTIONS}

    def days(self) -> tuple[Day, ...]:
        """Days that had events, in order."""
        return tuple(self._day(day) for day in sorted({day for day, _, _ in self._days}))

    def amounts(self) -> Amount | None:
        """Sums by decision before and after, of the flips that there are."""
        if self.amount is None:
            return None
        moved: dict[str, dict[str, float]] = {
            before: {a: float(self._amounts[b, a]) for b, a in self._amounts if b == before}
            for before in ACTIONS
        }
        return Amount(field=self.amount, present=self._with_amount, moved=moved)

    def reasons(self) -> Reasons:
        """Of decisions flagged before and after."""
        first_before, first_after = (dict(counts.most_common(_TOP)) for counts in self._first)
        return Reasons(**self._reasons, first_before=first_before, first_after=first_after)

    def scores(self) -> Scores:
        """Of decisions that have a score before and after."""
        mean = self._difference / self._scores["compared"] if self._scores["compared"] else 0.0
        return Scores(**self._scores, mean_difference=mean, max_difference=self._largest)

    def _day(self, day: int) -> Day:
        def count(place: int, action: str) -> int:
            return sum(n for key, n in self._days.items() if key[0] == day and key[place] == action)

        return Day(
            day=day_of(day * DAY_MS),
            events=sum(n for key, n in self._days.items() if key[0] == day),
            review_before=count(1, "review"),
            review_after=count(2, "review"),
            block_before=count(1, "block"),
            block_after=count(2, "block"),
        )

    def _add_amount(self, stored: dict[str, Any] | None, pair: Pair) -> None:
        if stored and "N" in stored:
            self._with_amount += 1
            self._amounts[pair] = self._amounts.get(pair, Decimal(0)) + Decimal(stored["N"])

    def _add_scores(self, before: float | None, after: float | None) -> None:
        if before is None or after is None:
            self._scores["gained"] += before is None and after is not None
            self._scores["lost"] += before is not None and after is None
            return
        self._scores["compared"] += 1
        self._scores["equal"] += before == after
        self._difference += after - before
        self._largest = max(self._largest, abs(after - before))

    def _add_reasons(self, one: Again) -> None:
        before, after = (
            [reason.feature for reason in some] for some in (one.before.decision.reasons, one.reasons)
        )
        self._reasons["compared"] += 1
        self._reasons["changed"] += set(before) != set(after)
        self._reasons["first_changed"] += before[:1] != after[:1]
        for counts, features in zip(self._first, (before, after), strict=True):
            counts.update(features[:1])


def day_of(epoch_ms: int) -> str:
    """The UTC date.

    >>> day_of(0)
    '1970-01-01'
    """
    return f"{datetime.fromtimestamp(epoch_ms / 1000, UTC):%Y-%m-%d}"
