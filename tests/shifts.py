"""What may happen to a stack's payments, window by window, and what is to be found of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from monitor.times import HOUR_S, WEEK_S, WINDOW_S, floor
from tests.quiet_days import SHIFTS, Columns, payments

YESTERDAY_S = floor(datetime.now(UTC).timestamp(), HOUR_S) - 26 * HOUR_S + 20 * 60
"""Some moment of yesterday that is no whole hour."""
type Count = Callable[[int, Columns], None]
"""Takes a window's start and its payments."""


class Case(NamedTuple):
    """A shift: when its second window ends, decisions a window, frauds before it, and what it is to raise."""

    shift: str
    until_s: int
    a_window: int
    frauds: float
    verdict: str
    features: list[str]
    finding: tuple[str, str]


CASES = [  # the score's first: a later look at features would find their alarm on already
    Case(
        "prior doubled", YESTERDAY_S - 4 * HOUR_S, 2_500, 0.1, "ScoreDrifted", [],
        ("score", "prediction_rate"),
    ),
    Case("gone", YESTERDAY_S - 2 * HOUR_S, 500, 0.01, "FeaturesDrifted", ["recent"], ("recent", "missing")),
    Case("scaled", YESTERDAY_S, 2_500, 0.01, "FeaturesDrifted", ["amount"], ("amount", "mean")),
]  # fmt: skip


def play_quiet(case: Case, count: Count) -> None:
    """Three windows a week ago, and the first of the same three now: nothing has happened yet."""
    random = np.random.default_rng(7)
    first_s = case.until_s - 3 * WINDOW_S
    for start_s in (*range(first_s - WEEK_S, case.until_s - WEEK_S, WINDOW_S), first_s):
        count(start_s, payments(start_s, case.a_window, random, frauds=case.frauds))


def play_shift[Found](case: Case, count: Count, look: Callable[[int], Found]) -> list[Found]:
    """From the middle of the second window on, it has; what a look at each window's end finds."""
    random, found = np.random.default_rng(8), []
    broken, factor = SHIFTS[case.shift]
    for start_s, of_it in (
        (case.until_s - 2 * WINDOW_S, case.a_window // 2),
        (case.until_s - WINDOW_S, case.a_window),
    ):
        before = payments(start_s, case.a_window - of_it, random, frauds=case.frauds)
        after = broken(payments(start_s, of_it, random, frauds=case.frauds * factor))
        count(start_s, {name: np.concatenate([before[name], after[name]]) for name in before})
        found.append(look(start_s + WINDOW_S))
    return found
