"""Policy: thresholds, rules, severity, and refusals that name the place."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import InvalidInputError
from common.settings import code_root
from scoring.bundle import Thresholds
from scoring.policy import Verdict, apply, by_score, parse
from scoring.rules import Batch, Rules, check
from tests import small_model

LIMITS = Thresholds(review=0.5, block=0.9)
NAN = float("nan")


def verdicts(text: str, features: list[list[float]], kept: list[tuple], scores: list[float]) -> list[Verdict]:
    policy = parse(text)
    rules = Rules(policy, small_model.spec())
    batch = Batch(np.array(features, np.float32), kept)
    severity = by_score(np.array(scores), len(scores), LIMITS, policy.fallback)
    return apply(severity, rules.fired(batch))


def decided(
    rules: str, amount: int = 100, shop: str | None = "books", count: float = 1, score: float = 0
) -> Verdict:
    (verdict,) = verdicts(rules, [[amount / 100, count, 1, NAN]], [(amount, shop)], [score])
    return verdict


def rule(body: str, decision: str = "review", name: str = "r") -> str:
    return f'[[rule]]\nname = "{name}"\ndecision = "{decision}"\n{body}\n'


def test_a_score_at_a_threshold_reaches_it() -> None:
    found = verdicts("", [[0] * 4] * 5, [(0, "")] * 5, [0.0, 0.499999, 0.5, 0.9, 1.0])
    assert [v.decision for v in found] == ["approve", "approve", "review", "block", "block"]


def test_without_scores_the_fallback_decides() -> None:
    assert by_score(None, 2, None, "review").tolist() == [1, 1]


def test_the_policys_thresholds_hold_for_the_version_it_names_only() -> None:
    policy = parse("[thresholds.abc]\nreview = 0.1\nblock = 0.2")
    assert policy.limits("abc", LIMITS) == Thresholds(review=0.1, block=0.2)
    assert policy.limits("def", LIMITS) == LIMITS


@pytest.mark.parametrize(
    ("condition", "amount", "fires"),
    [
        ('{ field = "amount", above = 12.34 }', 1234, False),
        ('{ field = "amount", above = 12.34 }', 1235, True),
        ('{ field = "amount", below = 0.29 }', 29, False),
        ('{ field = "amount", below = 0.29 }', 28, True),
        ('{ field = "amount", equals = 0.29 }', 29, True),
        ('{ field = "amount", in = [1, 2.5] }', 250, True),
        ('{ field = "amount", in = [1, 2.5] }', 251, False),
        ('{ feature = "amount", above = 12.34 }', 1234, False),
        ('{ feature = "amount", above = 12.34 }', 1235, True),
        ('{ feature = "card_count_1d", equals = 1 }', 1, True),
        ('{ feature = "card_count_1d", in = [2, 3] }', 1, False),
    ],
)
def test_conditions_compare_exactly(condition: str, amount: int, fires: bool) -> None:
    assert decided(rule(f"all = [{condition}]"), amount).rules == (("r",) if fires else ())


@pytest.mark.parametrize("test", ["above = 0", "below = 9", 'equals = "x"', "in = [1]"])
def test_a_missing_value_fulfils_no_condition(test: str) -> None:
    assert decided(rule(f'any = [{{ field = "shop", {test} }}]'), shop=None).rules == ()
    assert decided(rule(f'any = [{{ feature = "card_mean_1d", {test} }}]')).rules == ()


def test_texts_and_numbers_are_never_equal() -> None:
    assert decided(rule('any = [{ field = "shop", equals = 12 }]'), shop="12").rules == ()
    assert decided(rule('any = [{ field = "shop", in = ["12"] }]'), shop="12").rules == ("r",)


def test_all_and_any_must_both_hold() -> None:
    shops = '{ field = "shop", equals = "a" }, { field = "shop", equals = "b" }'
    both = f'all = [{{ field = "amount", above = 1 }}]\nany = [{shops}]'
    assert decided(rule(both), 200, "b").rules == ("r",)
    assert decided(rule(both), 200, "c").rules == ()
    assert decided(rule(both), 100, "b").rules == ()


def test_the_most_severe_wins_and_rules_never_soften_a_score() -> None:
    always = 'any = [{ field = "amount", above = 0 }]'
    two = rule(always, "block", "b") + rule(always, "review", "r")
    assert decided(two) == Verdict("block", ("b", "r"))
    assert decided(rule(always, "approve"), score=0.95).decision == "block"


def test_the_first_override_that_fires_decides_alone() -> None:
    always = 'any = [{ field = "amount", above = 0 }]'
    text = (
        rule(always, "block", "b")
        + rule('override = true\nany = [{ field = "amount", above = 500 }]', "block", "no")
        + rule(f"override = true\n{always}", "approve", "yes")
        + rule(f"override = true\n{always}", "review", "late")
    )
    assert decided(text, score=0.95) == Verdict("approve", ("b", "yes", "late"))


def test_a_rule_in_shadow_is_recorded_and_decides_nothing() -> None:
    shadow = 'mode = "shadow"\nany = [{ field = "amount", above = 0 }]'
    assert decided(rule(shadow, "block")) == Verdict("approve", ("shadow:r",))
    assert decided(rule(f"override = true\n{shadow}"), score=1) == Verdict("block", ("shadow:r",))


def test_a_rule_over_what_an_older_spec_lacks_does_not_fire_there() -> None:
    assert decided(rule('any = [{ field = "device", equals = "x" }]')).rules == ()
    with pytest.raises(InvalidInputError, match="rule 'r': 'device' is not in `keep`"):
        check(parse(rule('any = [{ field = "device", equals = "x" }]')), small_model.spec())
    with pytest.raises(InvalidInputError, match="no feature 'speed'"):
        check(parse(rule('any = [{ feature = "speed", above = 1 }]')), small_model.spec())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fallback = deny", "not valid TOML.*line 1"),
        ('fallback = "deny"', "Invalid enum value 'deny'"),
        ("falback = 1", "unknown field `falback`"),
        ("[thresholds.v]\nreview = 0.9\nblock = 0.1", "thresholds.v: block is below review"),
        ("[thresholds.v]\nreview = 2\nblock = 3", "<= 1.0"),
        (rule(""), "rule 'r': has neither"),
        (rule('any = [{ field = "a", above = 1 }]') * 2, "a name of its own"),
        (rule('any = [{ field = "a" }]'), "one of above, below, equals, in"),
        (rule('any = [{ field = "a", above = 1, below = 2 }]'), "one of above, below, equals, in"),
        (rule("any = [{ above = 1 }]"), "either a `feature` or a `field`"),
        (rule('any = [{ field = "a", above = "b" }]'), "Expected `float | null`"),
        (rule('mode = "off"\nany = [{ field = "a", above = 1 }]'), "Invalid enum value 'off'"),
    ],
)
def test_a_mistake_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        parse(text, "policy.toml")


def test_the_policy_that_ships_is_one() -> None:
    assert parse((code_root({}) / "policy.toml").read_text()).fallback == "approve"


def test_the_same_text_is_the_same_version(tmp_path: Path) -> None:
    assert parse('fallback = "review"').version == parse('fallback = "review"').version
    assert parse('fallback = "review"').version != parse('fallback = "approve"').version
