"""The gate's checks one by one, at their limits; on a stack: tests/integration/test_promotion_gate.py."""

import math
from typing import Any

import msgspec
import pytest

from scoring.bundle import Conversion
from scoring.policy import Gate
from streamscore.backtest.again import Known
from streamscore.backtest.backtest import backtest
from streamscore.backtest.result import Interval, Labels, Quality
from streamscore.promotion import gate
from streamscore.promotion.gate import Load
from tests import small_model

ASKED = Gate(matured_labels=100, model_mb=2.0, load_ms=300.0, row_ms=4.0)
WITHIN = Load(model_bytes=2_000_000, load_ms=300.0, row_ms=4.0)


def labels(**changes: Any) -> Labels:
    nothing = backtest([], Known(lambda _: None, lambda _: None, lambda _: None)).labels
    return msgspec.structs.replace(nothing, **({"matured": 100, "positives": 9} | changes))


def ranked(before: float | None, after: float | None, interval: Interval | None = None) -> Labels:
    """Both measures alike."""
    sides = [
        Quality(roc_auc=one, average_precision=one, precision=None, recall=None, alert_rate=None)
        for one in (before, after)
    ]
    found = {} if interval is None else {"roc_auc": interval, "average_precision": interval}
    return labels(before=sides[0], after=sides[1], differences=found)


@pytest.mark.parametrize(
    ("proof", "held"),
    [
        (Conversion(rows=1, max_difference=1e-5, flips=0), True),
        (Conversion(rows=0, max_difference=0.0, flips=0), False),
        (Conversion(rows=9, max_difference=1.1e-5, flips=0), False),
        (Conversion(rows=9, max_difference=-1.0, flips=0), False),
        (Conversion(rows=9, max_difference=math.nan, flips=0), False),
        (Conversion(rows=9, max_difference=0.0, flips=1), False),
    ],
)
def test_a_conversion_is_proven_by_rows_that_neither_differ_nor_flip(proof: Conversion, held: bool) -> None:
    bundle = msgspec.structs.replace(small_model.bundle(), conversion=proof)
    assert gate.conversion(bundle).held == held


@pytest.mark.parametrize("over", [{}, {"model_bytes": 2_000_001}, {"load_ms": 300.1}, {"row_ms": 4.1}])
def test_a_budget_is_kept_up_to_each_of_its_limits(over: dict[str, float]) -> None:
    found = gate.budget(WITHIN._replace(**over), ASKED)
    assert found.held == (not over)
    assert bool(found.mend) == bool(over)


@pytest.mark.parametrize(
    ("matured", "positives", "held"), [(100, 1, True), (99, 9, False), (100, 0, False), (100, 100, False)]
)
def test_coverage_is_labels_enough_of_both_kinds(matured: int, positives: int, held: bool) -> None:
    assert gate.coverage(labels(matured=matured, positives=positives), ASKED, "c").held == held


@pytest.mark.parametrize(
    ("interval", "held"),
    [
        (Interval(difference=-0.1, low=-0.2, high=0.0), True),
        (Interval(difference=-0.1, low=-0.2, high=-0.001), False),
        (Interval(difference=0.1, low=-0.2, high=0.3), True),
    ],
)
def test_worse_counts_only_beyond_the_interval(interval: Interval, held: bool) -> None:
    assert [check.held for check in gate.performance(ranked(0.8, 0.7, interval))] == [held, held]


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [(0.8, 0.8, True), (0.8, 0.799, False), (None, 0.8, False), (0.8, None, False)],
)
def test_without_an_interval_it_must_rank_at_least_as_well(
    before: float | None, after: float | None, held: bool
) -> None:
    for interval in (None, Interval(difference=None)):
        assert [check.held for check in gate.performance(ranked(before, after, interval))] == [held, held]
