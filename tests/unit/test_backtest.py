"""Decisions made by scoring's own code, decided again: by the same, by another model, by another policy."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from scoring import policy as policies
from scoring import policy_file
from scoring.judge import Judge
from scoring.model import Model
from scoring.policy import Policy
from scoring.rows import batch, items
from scoring.serving import Serving
from stream_features import spec as specs
from stream_features.state import Row
from streamscore.backtest.again import Known
from streamscore.backtest.backtest import backtest
from streamscore.backtest.result import Result
from streamscore.decided.stored import Decided, decided_of
from tests import small_model

DAY_MS = 86_400_000
SPEC = small_model.spec()
RULES = """
control_share = 0.3
[lists.shops]
values = [{ value = "books", until = 2100-01-01 }]
[[rule]]
name = "large"
decision = "review"
all = [{ field = "amount", above = 150 }]
[[rule]]
name = "known"
decision = "approve"
override = true
all = [{ entity = "terminal", equals = "t3" }]
[[rule]]
name = "books"
decision = "block"
any = [{ field = "shop", in = "shops" }]
"""
POLICY = policy_file.parse(RULES)
PLAIN = policy_file.parse("")
ALL_REVIEWED = policy_file.parse('force = "review"')


def decided(
    model: Model | None = None, policy: Policy = POLICY, count: int = 400, absent: str = "no_model"
) -> list[Decided]:
    """Decisions over 30 days, labelled a week after the event, as they lie in the table."""
    table = small_model.table(count, seed=7)
    rows = [
        Row(
            f"e{n}",
            int(time_ms),
            int(time_ms) + 300,
            None,
            (f"c{n % 9}", f"t{n % 7}"),
            (round(float(vector[0]) * 100), ("books", "toys", None)[n % 11 % 3]),
            vector.astype("<f4").tobytes(),
        )
        for n, (time_ms, vector) in enumerate(zip(table.times, table.features, strict=True))
    ]
    draws = policies.draws(policy, [row.id for row in rows])
    serving = Serving(model, "" if model else absent, None, policy)
    judged = Judge().judge(serving, SPEC, batch(SPEC, rows), draws)
    made = [decided_of(item) for item in items(SPEC, SPEC.sha256, rows, judged, "stream")]
    return [
        one._replace(label=bool(label), label_time_ms=one.decision.event_time_ms + 7 * DAY_MS)
        for one, label in zip(made, table.labels, strict=True)
    ]


def known(
    models: Sequence[Model] = (), policies: Sequence[Policy] = (POLICY,), spec: specs.Spec = SPEC
) -> Known:
    by_version: Mapping[str, Model] = {model.version: model for model in models}
    of_policy = {policy.version: policy for policy in policies}
    return Known({spec.sha256: spec}.get, by_version.get, of_policy.get)


def off_diagonal(result: Result) -> int:
    return sum(n for before, row in result.flips.items() for after, n in row.items() if before != after)


@pytest.fixture(scope="module")
def champion() -> Model:
    return small_model.model()


@pytest.fixture(scope="module")
def challenger() -> Model:
    return small_model.model(seed=1)


def test_the_same_model_and_policy_decide_the_same_with_the_same_scores_and_reasons(champion: Model) -> None:
    made = decided(champion)
    result = backtest(made, known(), champion, POLICY)
    assert result == backtest(reversed(made), known([champion]), champion, POLICY)
    assert (result.flipped, result.coverage.decided, result.coverage.left_out) == (0, 400, {})
    assert (result.coverage.reproduced, result.coverage.not_reproduced) == (400, 0)
    assert (result.scores.compared, result.scores.equal) == (400, 400)
    assert (result.reasons.changed, result.reasons.first_changed) == (0, 0)
    assert result.reasons.compared > 10
    assert result.labels.before == result.labels.after
    assert {one.action for one in made} == {"approve", "review", "block"}
    assert {rule for one in made for rule in one.decision.verdict.rules} == {
        "control",
        "large",
        "known",
        "books",
    }


def test_what_is_not_replaced_stays_each_decisions_own(champion: Model, challenger: Model) -> None:
    made = decided(champion) + [
        one._replace(decision=one.decision._replace(id=f"x{one.id}")) for one in decided(challenger, PLAIN)
    ]
    same = backtest(made, known([champion, challenger], [POLICY, PLAIN]))
    assert (same.flipped, same.coverage.reproduced) == (0, 800)
    assert same.models == {champion.version: 400, challenger.version: 400}
    reviewed = backtest(made, known([champion, challenger]), policy=ALL_REVIEWED)
    assert reviewed.coverage.reproduced == 800
    assert all(
        set(after) - {"review"} == {a for a, n in after.items() if not n} for after in reviewed.flips.values()
    )


def test_another_model_is_compared_on_the_same_rows(champion: Model, challenger: Model) -> None:
    made = decided(champion, PLAIN)
    result = backtest(made, known(policies=[PLAIN]), challenger)
    features = np.array([np.frombuffer(one.decision.features, "<f4") for one in made])
    scores = challenger.scores(features)
    limits = challenger.bundle.thresholds
    actions = np.where(
        scores >= limits.block, "block", np.where(scores >= limits.review, "review", "approve")
    )
    for before in ("approve", "review", "block"):
        for after in ("approve", "review", "block"):
            both = [one.action == before and new == after for one, new in zip(made, actions, strict=True)]
            assert result.flips[before][after] == sum(both)
    assert result.flipped == off_diagonal(result) > 0
    newest = max(one.label_time_ms or 0 for one in made)
    old = [one.decision.event_time_ms + 7 * DAY_MS <= newest for one in made]
    labels = np.array([one.label for one in made])[old]
    recorded = np.array([one.decision.score for one in made])[old]
    for quality, of in ((result.labels.before, recorded), (result.labels.after, scores[old])):
        assert quality.roc_auc == pytest.approx(roc_auc_score(labels, of), abs=1e-12)
        assert quality.average_precision == pytest.approx(average_precision_score(labels, of), abs=1e-12)
    alerts = actions[old] != "approve"
    assert result.labels.after.precision == pytest.approx(labels[alerts].mean())
    assert result.labels.after.recall == pytest.approx(alerts[labels].mean())
    assert (result.labels.matured, result.labels.positives) == (sum(old), labels.sum())
    assert result.labels.weighted is False
    for name, found in result.labels.differences.items():
        before, after = getattr(result.labels.before, name), getattr(result.labels.after, name)
        assert found.difference == pytest.approx(after - before, abs=1e-12)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.high
    assert set(result.labels.differences) == set(type(result.labels.after).__struct_fields__)


def test_days_and_amounts_add_up(champion: Model) -> None:
    made = decided(champion, PLAIN)
    result = backtest(made, known([champion]), policy=ALL_REVIEWED, amount="amount")
    assert sum(day.events for day in result.days) == 400
    assert sum(day.review_after for day in result.days) == 400
    assert sum(day.block_before for day in result.days) == sum(one.action == "block" for one in made)
    assert [day.day for day in result.days] == sorted({day.day for day in result.days})
    assert (result.since, result.until) == (result.days[0].day, result.days[-1].day)
    amount = result.amount
    assert amount is not None
    assert amount.present == 400
    blocked = sum(float(one.decision.kept["amount"]["N"]) for one in made if one.action == "block")
    assert amount.moved["block"] == {"review": pytest.approx(blocked)}


def test_where_a_control_share_had_a_say_it_stands_for_the_blocks(champion: Model) -> None:
    """A policy with a share of one half lets about half of the blocks through; each then counts twice."""
    half = policy_file.parse("control_share = 0.5")
    made = decided(champion, half, count=3000)
    labels = backtest(made, known([champion]), policy=half).labels
    blocked = [one for one in made if one.action == "block"]
    control = [one for one in made if "control" in one.decision.verdict.rules]
    assert labels.weighted
    assert (labels.blocked, labels.control, labels.matured) == (
        len(blocked),
        len(control),
        3000 - len(blocked),
    )
    everything = roc_auc_score([one.label for one in made], [one.decision.score for one in made])
    seen = [one for one in made if one.action != "block"]
    naive = roc_auc_score([one.label for one in seen], [one.decision.score for one in seen])
    found = labels.before.roc_auc
    assert found is not None
    assert abs(found - everything) < abs(naive - everything) / 3
    unlike = backtest(made, known(policies=[half]), small_model.model(seed=1), half).labels
    assert unlike.after.roc_auc is not None
    assert unlike.before.roc_auc is not None
    told = unlike.differences["roc_auc"].difference
    assert told == pytest.approx(unlike.after.roc_auc - unlike.before.roc_auc, abs=1e-12)


def test_labels_that_are_young_or_open_are_counted_and_not_used(champion: Model) -> None:
    made = decided(champion, PLAIN)
    newest = max(one.decision.event_time_ms for one in made)
    early = [
        one._replace(label_time_ms=one.decision.event_time_ms)
        if n % 2
        else one._replace(label=None, label_time_ms=None)
        for n, one in enumerate(made)
    ]
    labels = backtest(early, known([champion], [PLAIN])).labels
    old = [one.label is not None and one.decision.event_time_ms + 7 * DAY_MS <= newest for one in early]
    assert labels.differences["roc_auc"].difference == 0
    assert (labels.open, labels.matured, labels.young) == (200, sum(old), 200 - sum(old))
    assert labels.blocked_open == sum(one.label is None and one.action == "block" for one in early)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"spec_sha": "f" * 64}, "spec ffffffffffffffff is not published"),
        ({"policy": "gone"}, "policy gone is not published"),
        ({"model": "gone"}, "model gone is not registered"),
        ({"features": bytes(4)}, "the vector is not one of its spec"),
    ],
)
def test_a_decision_that_cannot_be_made_again_is_counted_by_why(
    champion: Model, change: dict[str, object], why: str
) -> None:
    made = decided(champion, count=50)
    made[3] = made[3]._replace(decision=made[3].decision._replace(**change))
    made[4] = made[4]._replace(cut=("kept",))
    coverage = backtest(made, known([champion])).coverage
    assert coverage.left_out == {why: 1, "kept fields were cut: too large to store whole": 1}
    assert (coverage.read, coverage.decided) == (50, 48)


def test_features_that_a_spec_lacks_are_named(champion: Model) -> None:
    text = small_model.SPEC.replace('windows = ["1d", "7d"]', 'windows = ["1d", "30d"]')
    other = specs.parse(text)
    made = [
        one._replace(decision=one.decision._replace(spec_sha=other.sha256))
        for one in decided(champion, count=9)
    ]
    coverage = backtest(made, known(spec=other), champion).coverage
    assert (coverage.decided, coverage.left_out) == (0, {"features missing: card_count_7d": 9})


def test_what_had_no_score_falls_back_again_or_gains_one(champion: Model) -> None:
    made = decided(None, PLAIN, count=40)
    assert backtest(made, known(policies=[PLAIN])).flipped == 0
    gained = backtest(made, known(policies=[PLAIN]), champion)
    assert (gained.scores.gained, gained.scores.compared) == (40, 0)
    assert gained.models == {"no_model": 40}


def test_nothing_is_reported_as_if_it_had_happened(
    champion: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    many = decided(None, PLAIN, count=1) * 100
    for _ in range(3):  # Powertools prints a metric that has a hundred values
        backtest(_one_by_one(many), known(policies=[PLAIN]))
    assert capsys.readouterr().out == ""


def _one_by_one(made: Sequence[Decided]) -> Iterator[Decided]:
    for n, one in enumerate(made):
        yield one._replace(decision=one.decision._replace(absent=f"why{n}"))


def test_a_model_that_does_not_score_leaves_its_rows_out(champion: Model) -> None:
    broken = small_model.model()
    broken._outputs = ["none"]
    coverage = backtest(decided(champion, count=5), known(), broken).coverage
    assert coverage.left_out == {f"model {broken.version} does not score": 5}


def test_no_decisions_are_a_result_too() -> None:
    result = backtest([], known())
    assert (result.coverage.read, result.flipped, result.days, result.since) == (0, 0, (), None)
