"""Evaluation: scikit-learn's figures, days drawn again, the Handbook's rules; thresholds that cost least."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from common.errors import InvalidInputError
from scoring.bundle import Thresholds
from scoring.policy import Policy
from scoring.policy_file import parse as parse_policy
from streamscore.evaluation import cards, intervals, proposals
from streamscore.evaluation.evaluate import levels, measures
from streamscore.evaluation.intervals import Ranking
from streamscore.evaluation.rows import Rows
from streamscore.evaluation.scored import Asked, evaluate
from streamscore.evaluation.series import reliability, series
from streamscore.report.evaluation_figures import read as read_for_report
from streamscore.training import bundles as folders
from streamscore.training.split import DAY_MS
from tests import small_model

HALVES = Thresholds(review=0.5, block=0.9)


def scored_rows(count: int = 2000, days: int = 10, seed: int = 0) -> Rows:
    """Well-calibrated scores with many ties."""
    random = np.random.default_rng(seed)
    scores = np.round(random.beta(1, 8, count), 2)
    return Rows(
        days=np.sort(random.integers(100, 100 + days, count)),
        entities=random.integers(0, 200, count),
        labels=random.random(count) < scores,
        scores=scores,
        amounts=np.round(random.gamma(2, 30, count), 2),
    )


def rows(*columns: tuple[int, int, int, float]) -> Rows:
    """(day, entity, label, score) each."""
    days, entities, labels, scores = zip(*columns, strict=True)
    return Rows(np.array(days), np.array(entities), np.array(labels, bool), np.array(scores, float))


def test_drawn_once_each_the_days_give_scikit_learns_figures() -> None:
    some, once = scored_rows(), np.ones(10)
    ranking = Ranking(some)
    assert ranking.roc_auc(once) == pytest.approx(roc_auc_score(some.labels, some.scores))
    assert ranking.average_precision(once) == pytest.approx(average_precision_score(some.labels, some.scores))


def test_a_day_drawn_twice_counts_twice() -> None:
    some, drawn = scored_rows(), np.array([2.0, 0, 1, 1, 3, 0, 1, 0, 1, 1])
    weights = drawn[some.days - 100]
    expected = average_precision_score(some.labels, some.scores, sample_weight=weights)
    assert Ranking(some).average_precision(drawn) == pytest.approx(expected)


def test_an_interval_holds_its_value_and_a_single_day_has_none() -> None:
    some = scored_rows()
    found = measures(some, HALVES, 5, some).roc_auc
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.2
    one_day = some.only(some.days == 100)
    assert measures(one_day, HALVES, 5, one_day).roc_auc.low is None


def test_draws_are_of_whole_days_and_the_same_again() -> None:
    drawn = intervals.draws(7)
    assert (drawn.sum(axis=1) == 7).all()
    assert (drawn == intervals.draws(7)).all()


def test_a_threshold_catches_what_reaches_it() -> None:
    some = scored_rows()
    found = levels(some, Thresholds(review=0.2, block=0.4))["review"]
    alerted = some.scores >= 0.2
    assert found.precision.value == pytest.approx(some.labels[alerted].mean(), abs=1e-6)
    assert found.recall.value == pytest.approx(alerted[some.labels].mean(), abs=1e-6)
    assert found.alerts_per_day.value == pytest.approx(alerted.sum() / 10, abs=1e-6)
    amount = some.amounts[some.labels & alerted].sum() / some.amounts[some.labels].sum()
    assert found.amount_caught.value == pytest.approx(amount, abs=1e-6)


def test_card_precision_counts_an_entity_once_and_never_again_after_it_was_found() -> None:
    found = cards.card_precision(
        rows(
            (1, 7, 1, 0.9), (1, 7, 0, 0.8), (1, 8, 0, 0.7), (1, 9, 1, 0.1),
            (2, 7, 1, 0.9), (2, 8, 0, 0.7), (2, 9, 1, 0.6),
        ),
        k=2,
    )  # fmt: skip
    assert found.precisions == [0.5, 0.5]
    assert found.defrauded == [2, 1]


def test_a_fraud_is_known_after_the_delay_and_its_own_day() -> None:
    history = rows((10, 7, 1, 0), (10, 8, 0, 0), (3, 9, 1, 0))
    later = rows((17, 7, 0, 0), (18, 7, 0, 0), (18, 8, 0, 0), (18, 9, 0, 0))
    assert cards.unknown(history, later, 7).tolist() == [True, False, True, False]
    assert cards.unknown(history, later, 7, since_day=10).tolist() == [True, False, True, True]


def test_curves_cover_every_row() -> None:
    some = scored_rows()
    curves = series(some.scores, some.labels)
    assert sum(curves.negatives) + sum(curves.positives) == 2000
    assert sum(bin_.rows for bin_ in curves.calibration) == 2000
    assert curves.recall == sorted(curves.recall)
    assert curves.recall[-1] == 1


def test_equal_scores_are_in_one_bin() -> None:
    found = reliability(np.repeat([0.0, 1.0], [90, 10]), np.repeat([False, True], [90, 10]))
    assert [(one.predicted, one.observed, one.rows) for one in found] == [(0, 0, 90), (1, 1, 10)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(bundle, features) of the small model and its own table."""
    folder = tmp_path_factory.mktemp("evaluated")
    made = small_model.trained()
    folders.write(made.bundle, made.model, folder / "bundle")
    small_model.write_features(folder / "features.parquet", small_model.table())
    return folder / "bundle", folder / "features.parquet"


def test_by_default_the_rows_after_training_are_measured(files) -> None:
    found = evaluate(*files, small_model.spec(), Policy(""), Asked(amount="amount"))
    made = small_model.bundle()
    assert (found.rows, found.positives) == (made.test.rows, made.test.positives)
    assert found.measures.roc_auc.value == made.metrics["roc_auc"]
    assert found.measures.levels["review"].recall.value == made.metrics["review_recall"]
    assert found.notes == ()
    assert found.known > 0
    path = files[0].parent / "evaluation.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    assert read_for_report(path) == found


def test_thresholds_and_capacity_are_the_policys(files) -> None:
    version = small_model.bundle().version
    policy = parse_policy(f"daily_review_capacity = 3\n[thresholds.{version}]\nreview = 0.25\nblock = 0.75\n")
    found = evaluate(*files, small_model.spec(), policy, Asked())
    assert found.capacity == 3
    assert found.measures.levels["block"].threshold == 0.75


def test_rows_that_trained_the_model_are_told_of(files) -> None:
    found = evaluate(*files, small_model.spec(), Policy(""), Asked(since_ms=small_model.START_MS))
    assert found.rows == 3000
    assert "trained the model" in found.notes[0]


FIRST_DAY_MS = -(-small_model.START_MS // DAY_MS) * DAY_MS


def test_the_protocol_trains_a_week_and_tests_the_week_after_next(files, tmp_path: Path) -> None:
    asked = Asked(handbook_start_ms=FIRST_DAY_MS)
    found = evaluate(tmp_path / "new", files[1], small_model.spec(), Policy(""), asked)
    bundle = folders.read(tmp_path / "new")[2]
    table = small_model.table()
    test = (table.times >= FIRST_DAY_MS + 14 * DAY_MS) & (table.times < FIRST_DAY_MS + 21 * DAY_MS)
    assert bundle.test.rows == test.sum() == found.rows + found.known
    assert found.known > 0
    assert found.reference.flips == 0
    assert found.reference.roc_auc == pytest.approx(found.measures.roc_auc.value, abs=1e-4)
    again = evaluate(tmp_path / "new", files[1], small_model.spec(), Policy(""), asked)
    assert again.measures == found.measures


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Asked(handbook_start_ms=FIRST_DAY_MS + 1), "give a date"),
        (Asked(handbook_start_ms=FIRST_DAY_MS), "was trained on .* the protocol trains on"),
        (Asked(amount="nothing"), "--amount nothing: is no feature"),
        (Asked(since_ms=2 * small_model.START_MS), "no labelled row in the time asked for"),
    ],
)
def test_what_cannot_be_measured_is_refused(files, asked: Asked, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        evaluate(*files, small_model.spec(), Policy(""), asked)


def test_capacity_is_kept() -> None:
    some = scored_rows()
    review = proposals.by_capacity(some, 0.4, 15)
    per_day = ((some.scores >= review) & (some.scores < 0.4)).sum() / 10
    assert 8 < per_day <= 15
    assert proposals.by_capacity(some, 0.0, 15) == 0.0


def test_the_threshold_of_least_cost_is_the_best_of_all() -> None:
    some = scored_rows()

    def cost(threshold: float) -> float:
        reached = (some.scores >= threshold) & (some.scores < 0.5)
        return 50 * (some.labels & (some.scores < threshold)).sum() + 10 * reached.sum()

    best = proposals.by_cost(some, 0.5, proposals.Costs(50, 10))
    assert cost(best) == min(cost(one) for one in np.unique(some.scores) if one <= 0.5)
    assert proposals.by_cost(some, 0.5, proposals.Costs(1, 10)) == 0.5


def test_blocking_is_as_precise_as_asked_or_not_at_all() -> None:
    some = scored_rows()
    block = proposals.blocking(some, 0.4)
    assert some.labels[some.scores >= block].mean() >= 0.4
    assert proposals.blocking(some, 0.999) == 1.0


def test_the_stanza_is_a_policy() -> None:
    limits = Thresholds(review=0.123456, block=1.0)
    text = proposals.stanza("0123456789abcdef", limits, "10 reviews a day")
    assert parse_policy(text).thresholds == {"0123456789abcdef": limits}
