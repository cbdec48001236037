"""Counts of decisions, whatever their order; curves against what they are defined as."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from scoring.policy import ACTIONS
from streamscore.decided.stored import Decided
from streamscore.report import tally as tallies
from streamscore.report.curves import wilson
from streamscore.report.tally import MOST_BINS, STEPS_S, Tally
from tests.reported import START_MS, decided, some_decided


def tally_of(some: list[Decided]) -> Tally:
    counted = Tally()
    for one in some:
        counted.add(one)
    return counted


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.none() | st.floats(0, 1)), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_counts_and_every_decision_is_in_one_bin(
    drawn: list[tuple[int, float | None]], shuffle: random.Random
) -> None:
    some = [decided(at, score) for at, score in drawn]
    shuffled = some.copy()
    shuffle.shuffle(shuffled)
    one, other = tally_of(some), tally_of(shuffled)
    assert one.traffic() == other.traffic() or str(one.traffic()) == str(other.traffic())  # NaN is not NaN
    assert one.why() == other.why()
    assert one.models == other.models
    assert one.traffic().decided == len(some)
    for action in ACTIONS:
        expected = sum(made.action == action for made in some)
        assert sum(getattr(bin_, action) for bin_ in one.traffic().bins) == expected


@given(st.lists(st.integers(0, 3 * 10**7), min_size=1, max_size=60))
def test_bins_follow_each_other_are_few_and_hold_what_was_decided_in_them(seconds: list[int]) -> None:
    some = [
        decided(0)._replace(decision=decided(0).decision._replace(scored_at_ms=s * 1000)) for s in seconds
    ]
    found = tally_of(some).traffic()
    step_ms = found.step_s * 1000
    starts = [one.start_ms for one in found.bins]
    assert starts == [starts[0] + number * step_ms for number in range(len(starts))]
    assert len(starts) <= MOST_BINS
    for one in found.bins:
        assert one.decided == sum(one.start_ms <= s * 1000 < one.start_ms + step_ms for s in seconds)


def test_each_step_is_a_multiple_of_the_one_before() -> None:
    assert all(wider % step == 0 for step, wider in zip(STEPS_S, STEPS_S[1:], strict=False))


def test_latencies_are_told_as_the_monitor_tells_them() -> None:
    found = tally_of([decided(at) for at in range(100)]).traffic()  # 100 to 2,060 ms
    exact = [100 + at % 50 * 40 for at in range(100)]
    assert np.percentile(exact, 50) <= found.p50_ms <= np.percentile(exact, 50) * 1.25
    assert sum(count for *_, count in found.latency) == 100
    for low, high, count in found.latency:
        assert count == sum(low <= ms < high for ms in exact)


def test_labels_go_to_the_month_they_became_known_in_and_open_ones_to_none() -> None:
    november = int(datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp() * 1000)
    some = [
        decided(1, 0.9, label=True, label_time_ms=november),
        decided(2, 0.2, label=False, label_time_ms=november + 60_000),
        decided(3, 0.2),
        decided(4, None, label=True, label_time_ms=november),
    ]
    counted = tally_of(some)
    assert [(one.month, one.labels.labelled) for one in counted.months()] == [("2026-11", 1), ("2026-12", 1)]
    assert counted.unlabelled == 1


def test_more_labels_than_are_kept_at_once_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    some = list(some_decided(300))
    whole = tally_of(some).months()
    monkeypatch.setattr(tallies, "_CHUNK", 7)
    assert tally_of(some).months() == whole


def test_the_curve_is_sklearns_at_the_cells_edges_and_its_area_is_the_average_precision() -> None:
    some = [one for one in some_decided(3_000) if one.label is not None and one.decision.score is not None]
    same_month = [one._replace(label_time_ms=START_MS) for one in some]
    (month,) = tally_of(same_month).months()
    labels = np.array([one.label for one in some])
    scores = np.array([one.decision.score for one in some])
    precision, recall, _ = precision_recall_curve(labels, scores)
    exact = set(zip(recall.round(9), precision.round(9), strict=True))
    assert all((round(r, 9), round(p, 9)) in exact for r, p in month.curve)
    assert [r for r, _ in month.curve] == sorted(r for r, _ in month.curve)
    steps = np.diff([0.0, *(r for r, _ in month.curve)])
    area = float(sum(step * p for step, (_, p) in zip(steps, month.curve, strict=True)))
    assert area == pytest.approx(month.labels.average_precision.value)
    assert abs(area - average_precision_score(labels, scores)) <= month.labels.average_precision.error + 1e-9


def test_calibration_covers_every_label_once_with_its_mean_score() -> None:
    some = [one._replace(label_time_ms=START_MS) for one in some_decided(800) if one.label is not None]
    counted = tally_of(some)
    (month,) = counted.months()
    scored = [one for one in some if one.decision.score is not None]
    assert sum(one.labelled for one in month.calibration) == len(scored)
    mean = sum(one.score * one.labelled for one in month.calibration) / len(scored)
    assert mean == pytest.approx(np.mean([one.decision.score for one in scored]), abs=1e-5)
    positives = sum(one.positive * one.labelled for one in month.calibration)
    assert positives == pytest.approx(sum(bool(one.label) for one in scored))
    assert all(one.low <= one.positive <= one.high for one in month.calibration)


def test_nothing_gives_nothing() -> None:
    counted = Tally()
    assert (counted.traffic().bins, counted.months(), counted.why()) == ((), (), ())


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_interval_holds_the_share_and_narrows_with_more_labels(many: int, share: float) -> None:
    positive = round(many * share)
    low, high = wilson(positive, many)
    assert 0 <= low <= positive / many <= high <= 1
    wider = wilson(positive * 4, many * 4)
    assert wider[1] - wider[0] <= high - low
