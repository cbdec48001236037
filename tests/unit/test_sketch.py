"""Sketches are sums: any batching, any order, the same vector."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidInputError
from monitor import bins as bin_edges
from monitor import sketch
from monitor.bins import Bins
from monitor.decided import Decided, DecidedSketch, Layout, decisions_of, observe, variables
from monitor.labelled import LABELS, Labelled, LabelSketch, by_score, halves, labels_of, observe_labels

LAYOUT = Layout(
    (Bins("amount", (0.0, 10.0, 100.0), centre=40.0, spread=20.0), Bins("is_night", (0.0, 0.5, 1.0))),
    Bins("score", (0.0, 0.1, 0.5, 1.0)),
)
EDGES = [0.0, 10.0, 100.0, -1e-9, 100.00001, 9.999, 1e30, -1e30, float("nan"), float("inf"), 55.5]
values = st.sampled_from(EDGES) | st.floats(width=32)
scores = st.sampled_from([0.0, 0.1, 0.5, 1.0, float("nan")]) | st.floats(0, 1, width=32)
row = st.tuples(values, values, scores, st.sampled_from(sketch.DECISIONS), st.floats(0, 1e7))
amounts = st.sampled_from([float("nan"), 0.0, -3.5, 12.3456, 1e30]) | st.floats(-1e6, 1e6)
label = st.tuples(st.booleans(), scores, st.sampled_from(sketch.DECISIONS), amounts)
Row = tuple[float, float, float, str, float]
Label = tuple[bool, float, str, float]


def decided(rows: list[Row]) -> Decided:
    table = np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2)
    return Decided(table, *_columns(rows, 2), [row[3] for row in rows], *_columns(rows, 4))


def labelled(rows: list[Label]) -> Labelled:
    marks = np.array([row[0] for row in rows], dtype=np.bool_)
    return Labelled(marks, *_columns(rows, 1), [row[2] for row in rows], *_columns(rows, 3))


def _columns(rows: list[Row] | list[Label], at: int) -> list[np.ndarray]:
    return [np.array([row[at] for row in rows], dtype=np.float64)]


def whole(rows: list[Row], labels: list[Label]) -> tuple[DecidedSketch, LabelSketch]:
    return observe(LAYOUT, decided(rows)), observe_labels(labelled(labels))


@given(st.lists(row, max_size=30), st.lists(label, max_size=30), st.data())
def test_any_batching_in_any_order_gives_the_same_sketch(
    rows: list[Row], labels: list[Label], data: st.DataObject
) -> None:
    cut, label_cut = data.draw(st.integers(0, len(rows))), data.draw(st.integers(0, len(labels)))
    shuffled = data.draw(st.permutations(rows))
    one, other = whole(shuffled[:cut], labels[:label_cut]), whole(shuffled[cut:], labels[label_cut:])
    assert (one[0] + other[0], one[1] + other[1]) == whole(rows, labels)


@given(st.lists(st.lists(row, max_size=8), min_size=3, max_size=3))
def test_merging_is_associative_and_commutative_and_zero_changes_nothing(batches: list[list[Row]]) -> None:
    a, b, c = (observe(LAYOUT, decided(batch)) for batch in batches)
    assert (a + b) + c == a + (b + c) == (c + b) + a
    assert a + sketch.zero(LAYOUT) == a
    assert (a + b) - b == a


@given(st.lists(row, max_size=30), st.lists(label, max_size=30))
def test_a_sketch_survives_its_encoding(rows: list[Row], labels: list[Label]) -> None:
    decisions, marks = whole(rows, labels)
    assert sketch.decode(LAYOUT, sketch.encode(decisions)) == decisions
    assert sketch.decode(LABELS, sketch.encode(marks)) == marks
    assert sketch.encode(marks) == sketch.encode(sketch.decode(LABELS, sketch.encode(marks)))


@given(st.lists(row, max_size=30))
def test_every_value_falls_in_exactly_one_cell(rows: list[Row]) -> None:
    made = observe(LAYOUT, decided(rows))
    assert decisions_of(made) == len(rows) == made.part("latency").sum()
    assert all(counts.sum() == len(rows) for _, counts, _ in variables(made))


def test_cells_are_below_then_half_open_bins_then_above_then_nan() -> None:
    bins = Bins("x", (0.0, 10.0, 100.0))
    counted = bins.count(np.array([-1.0, 0.0, 9.9, 10.0, 100.0, 100.1, np.inf, -np.inf, np.nan]))
    assert counted.tolist() == [2, 2, 2, 2, 1]


def test_a_last_edge_that_is_there_twice_makes_a_bin_of_that_value() -> None:
    assert Bins("x", (0.0, 1.0, 1.0)).count(np.array([-1.0, 0.0, 0.9, 1.0, 1.1])).tolist() == [1, 2, 1, 1, 0]
    assert Bins("x", (5.0, 5.0)).count(np.array([4.0, 5.0, 6.0, np.nan])).tolist() == [1, 1, 1, 1]


def test_moments_count_from_the_baselines_centre_in_its_spread() -> None:
    bins = Bins("x", (0.0, 1.0), centre=40.0, spread=20.0)
    total, squares, fourths = bins.moments(np.array([40.0, 60.0, 10.0, np.nan, 1e30]))
    assert total == 4096 * (0 + 1 - 1.5 + 64)
    assert squares == 4096**2 * (1 + 1.5**2 + 64**2)
    assert fourths == 64 * (1 + 1.5**4 + 64**4)


def test_labels_count_by_score_cell_and_by_decision() -> None:
    made = observe_labels(
        labelled(
            [(True, 0.9, "block", 10.5), (False, 0.9, "review", 2.0), (True, 0.0, "approve", float("nan"))]
        )
    )
    negatives, positives = by_score(made)
    at = int(np.searchsorted(bin_edges.SCORE_EDGES, 0.9, side="right"))
    assert (negatives.sum(), positives.sum(), labels_of(made)) == (1, 2, 3)
    assert (negatives[at], positives[at], positives[0]) == (1, 1, 1)
    assert halves(made, "decisions").tolist() == [[0, 1, 0], [1, 0, 1]]
    assert halves(made, "amounts").tolist() == [[0, 20_000, 0], [0, 0, 105_000]]


def test_sketches_of_different_models_are_not_added() -> None:
    other = Layout(LAYOUT.features, Bins("score", (0.0, 0.2, 1.0)))
    with pytest.raises(InvalidInputError, match="different models"):
        sketch.zero(LAYOUT) + sketch.zero(other)
    with pytest.raises(InvalidInputError, match="other bins"):
        sketch.decode(other, sketch.encode(sketch.zero(LAYOUT)))


def test_a_full_sketch_of_300_features_fits_a_fraction_of_a_windows_state() -> None:
    edges = tuple(np.linspace(0.0, 1.0, 21).tolist())
    layout = Layout(tuple(Bins(f"f{i}", edges) for i in range(300)), Bins("score", edges)).check()
    random = np.random.default_rng(1)
    table = random.random((5000, 300))
    made = observe(layout, Decided(table, table[:, 0], ["approve"] * 5000, table[:, 0] * 1000))
    assert len(sketch.encode(made)) < 40_000


def test_a_baseline_too_wide_for_the_state_is_refused() -> None:
    edges = tuple(range(1000))
    layout = Layout(tuple(Bins(f"f{i}", edges) for i in range(50)), Bins("score", (0.0, 1.0)))
    with pytest.raises(InvalidInputError, match="fewer bins"):
        layout.check()
