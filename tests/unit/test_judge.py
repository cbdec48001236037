"""A batch judged: who scores, who decides when one cannot, and how often a policy is compiled."""

from typing import Any

import numpy as np
import pytest

from scoring import judge as judges
from scoring.items import Challenged
from scoring.judge import Judge
from scoring.model import Model
from scoring.policy_file import parse
from scoring.rules import Batch, Rules
from scoring.serving import MODEL_UNAVAILABLE, Serving
from stream_features import spec as specs
from tests import small_model

POLICY = parse('fallback = "review"')
BATCH = Batch(np.array([[900, 2, 5, 30], [1, 2, 5, 30]], np.float32), [(90000, "a"), (100, "b")])


def dead(seed: int) -> Model:
    """A model that opened, and whose runtime fails from now on."""

    class Dead:
        def run(self, *arguments: Any) -> Any:
            raise RuntimeError("out of memory")

    model = small_model.model(seed)
    model._session = Dead()
    return model


def test_a_challenger_scores_the_same_rows_and_decides_nothing() -> None:
    champion, challenger = small_model.model(0), small_model.model(1)
    alone = Judge().judge(Serving(champion, "", None, POLICY), small_model.spec(), BATCH)
    both = Judge().judge(Serving(champion, "", challenger, POLICY), small_model.spec(), BATCH)
    assert (both.verdicts, both.reasons) == (alone.verdicts, alone.reasons)
    as_champion = Judge().judge(Serving(challenger, "", None, POLICY), small_model.spec(), BATCH)
    assert [both.shadow(n) for n in (0, 1)] == [
        Challenged(challenger.version, score, verdict.decision)
        for score, verdict in zip(challenger.scores(BATCH.features), as_champion.verdicts, strict=True)
    ]
    assert alone.shadow(0) is None


def test_what_a_challenger_would_decide_obeys_rules_and_its_own_thresholds() -> None:
    policy = parse(
        f"[thresholds.{small_model.model(1).version}]\nreview = 0.0\nblock = 1.0\n"
        '[[rule]]\nname = "r"\ndecision = "block"\nall = [{ feature = "amount", above = 800 }]'
    )
    serving = Serving(small_model.model(0), "", small_model.model(1), policy)
    found = Judge().judge(serving, small_model.spec(), BATCH)
    assert [found.verdicts[n].decision for n in (0, 1)] == ["block", "approve"]
    assert [found.shadow(n).decision for n in (0, 1)] == ["block", "review"]


def test_a_challenger_that_fails_disturbs_nothing() -> None:
    found = Judge().judge(Serving(small_model.model(0), "", dead(1), POLICY), small_model.spec(), BATCH)
    assert found.shadow(0) is None
    assert found.each_score() == small_model.model(0).scores(BATCH.features).tolist()


def test_a_row_the_challenger_gives_no_number_for_has_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    challenger = small_model.model(1)
    monkeypatch.setattr(challenger, "raw_scores", lambda rows: np.array([np.nan, 0.5], np.float32))
    serving = Serving(small_model.model(0), "", challenger, POLICY)
    found = Judge().judge(serving, small_model.spec(), BATCH)
    assert found.shadow(0) is None
    assert found.shadow(1).score == 0.5


def test_a_champion_that_fails_leaves_the_decision_to_the_fallback() -> None:
    found = Judge().judge(Serving(dead(0), "", None, POLICY), small_model.spec(), BATCH)
    assert (found.model, found.absence(None), found.each_score()) == (None, MODEL_UNAVAILABLE, [None, None])
    assert [verdict.decision for verdict in found.verdicts] == ["review", "review"]


def test_forced_a_score_is_still_computed() -> None:
    forced = parse('force = "approve"')
    found = Judge().judge(Serving(small_model.model(0), "", None, forced), small_model.spec(), BATCH)
    assert [(v.decision, v.rules) for v in found.verdicts] == [("approve", ("force",))] * 2
    assert None not in found.each_score()


def test_a_policy_is_compiled_once_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []

    class Counted(Rules):
        def __init__(self, policy: Any, spec: Any) -> None:
            made.append((policy.version, spec.sha256))
            super().__init__(policy, spec)

    monkeypatch.setattr(judges, "Rules", Counted)
    judge = Judge()
    here = small_model.spec()
    other = specs.parse(small_model.SPEC.replace('name = "amount"\n', 'name = "sum"\n'))
    for spec in (here, other, here, other):
        for policy in (POLICY, parse(""), POLICY):
            judge.judge(Serving(None, "no_model", None, policy), spec, BATCH)
    assert len(made) == len(set(made)) == 4
