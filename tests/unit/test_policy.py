"""Policy: thresholds, rules, severity, control and force over one row; mistakes refused with their line."""

import numpy as np
import pytest

from common.errors import InvalidInputError
from common.settings import code_root
from scoring.bundle import Thresholds
from scoring.policy import Verdict, apply, by_score, draw, draws
from scoring.policy_file import decode, parse
from scoring.rules import Batch, Rules
from tests import small_model

LIMITS = Thresholds(review=0.5, block=0.9)
NAN = float("nan")
DAY_MS = 86_400_000
Y2027_MS = 1_798_761_600_000


def verdicts(
    text: str,
    features: list[list[float]],
    kept: list[tuple],
    scores: list[float],
    *,
    at_ms: int = 0,
    draw: float | None = None,
) -> list[Verdict]:
    policy = parse(text)
    batch = Batch(np.array(features, np.float32), kept, [("c1", "t1")] * len(kept))
    severity = by_score(np.array(scores), len(scores), LIMITS, policy.fallback)
    fired = Rules(policy, small_model.spec()).fired(batch, at_ms)
    return apply(policy, severity, fired, None if draw is None else np.full(len(scores), draw))


def decided(
    rules: str,
    amount: int = 100,
    shop: str | None = "books",
    count: float = 1,
    score: float = 0,
    **more: float,
) -> Verdict:
    (verdict,) = verdicts(rules, [[amount / 100, count, 1, NAN]], [(amount, shop)], [score], **more)
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
        ('{ feature = "card_count_1d", equals = true }', 1, True),
        ('{ field = "amount", above = 12.3399999999999999999999999999999999999 }', 1234, True),
        ('{ field = "amount", below = 12.3400000000000000000000000000000000001 }', 1234, True),
        ('{ field = "amount", equals = 12.3400000000000000000000000000000000001 }', 1234, False),
        ('{ field = "amount", below = 9223372036854775807 }', 1234, True),
        ('{ field = "amount", above = -9223372036854775807 }', 1234, True),
        ('{ field = "amount", in = [9223372036854775807] }', 1234, False),
    ],
)
def test_conditions_compare_exactly(condition: str, amount: int, fires: bool) -> None:
    assert decided(rule(f"all = [{condition}]"), amount).rules == (("r",) if fires else ())


@pytest.mark.parametrize("test", ["above = -9", "below = 9", "equals = 0", "in = [0, 1]"])
@pytest.mark.parametrize("subject", ['field = "amount"', 'feature = "card_mean_1d"'])
def test_a_missing_value_fulfils_no_condition(subject: str, test: str) -> None:
    (verdict,) = verdicts(rule(f"any = [{{ {subject}, {test} }}]"), [[1, 1, 1, NAN]], [(None, None)], [0.0])
    assert verdict.rules == ()


def test_a_missing_text_is_no_text() -> None:
    assert decided(rule('any = [{ field = "shop", equals = "None" }]'), shop=None).rules == ()


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
    assert decided(rule('any = [{ feature = "speed", above = -1 }]')).rules == ()


def test_entities_are_compared_as_text() -> None:
    assert decided(rule('any = [{ entity = "card", equals = "c1" }]')).rules == ("r",)
    assert decided(rule('any = [{ entity = "terminal", in = ["t2"] }]')).rules == ()
    policy = parse(rule('any = [{ entity = "card", equals = "c1" }]'))
    unknown = Batch(np.zeros((1, 4), np.float32), [(1, "x")])
    ((_, mask),) = Rules(policy, small_model.spec()).fired(unknown, 0)
    assert not mask.any()


STOLEN = """
[lists.stolen]
values = ["c9", { value = "c1", until = 2026-12-31 }]
"""
LISTED = STOLEN + rule('any = [{ entity = "card", in = "stolen" }]')


@pytest.mark.parametrize(
    ("until", "last_ms"),
    [
        ("2026-12-31", Y2027_MS - 1),
        ("2026-12-31T18:00:00Z", Y2027_MS - DAY_MS // 4 - 1),
        ("2026-12-31T18:00:00", Y2027_MS - DAY_MS // 4 - 1),
        ("2026-12-31T20:00:00+02:00", Y2027_MS - DAY_MS // 4 - 1),
    ],
)
def test_a_listed_value_holds_to_the_end_of_its_day_or_until_its_time(until: str, last_ms: int) -> None:
    text = LISTED.replace("2026-12-31", until)
    assert decided(text, at_ms=last_ms).rules == ("r",)
    assert decided(text, at_ms=last_ms + 1).rules == ()


def test_each_row_has_a_moment_of_its_own() -> None:
    policy = parse(LISTED)
    batch = Batch(np.zeros((3, 4), np.float32), [(1, "x")] * 3, [("c1", "t"), ("c1", "t"), ("c9", "t")])
    moments = np.array([Y2027_MS - 1, Y2027_MS, Y2027_MS], np.int64)
    ((_, mask),) = Rules(policy, small_model.spec()).fired(batch, moments)
    assert mask.tolist() == [True, False, True]


def test_a_value_listed_twice_holds_until_the_later_of_its_times() -> None:
    text = LISTED.replace('"c9"', '"c1"')
    assert decided(text, at_ms=2 * Y2027_MS).rules == ("r",)


@pytest.mark.parametrize(
    ("share", "draw", "decision", "propensity"),
    [
        (0.25, 0.0, "approve", 0.25),
        (0.25, 0.2499999, "approve", 0.25),
        (0.25, 0.25, "block", 0.75),
        (0.07, 0.5, "block", 0.93),
        (1, 1 - 2**-53, "approve", 1.0),
        (0, 0.0, "block", None),
        (0.25, None, "block", None),
        (0.25, NAN, "block", None),
        (1, NAN, "block", None),
    ],
)
def test_a_control_share_of_blocks_is_let_through_by_its_draw(
    share: float, draw: float | None, decision: str, propensity: float | None
) -> None:
    found = decided(f"control_share = {share}", score=0.95, draw=draw)
    assert found == Verdict(decision, ("control",) if decision == "approve" else (), propensity)


def test_only_blocks_that_no_override_made_are_let_through() -> None:
    always = 'any = [{ field = "amount", above = 0 }]'
    share = "control_share = 1.0\n"
    assert decided(share + rule(always, "block"), draw=0.5) == Verdict("approve", ("r", "control"), 1.0)
    assert decided(share, score=0.6, draw=0.5) == Verdict("review", ())
    assert decided(share + rule(f"override = true\n{always}", "block"), draw=0.5) == Verdict("block", ("r",))


def test_draws_are_even_repeatable_and_another_policys_are_others() -> None:
    ids = [f"e{n}" for n in range(2000)]
    first, second = ([draw(id_, version) for id_ in ids] for version in ("a", "b"))
    assert first == [draw(id_, "a") for id_ in ids]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    assert abs(np.mean(first) - 0.5) < 0.03
    assert min(first) >= 0
    assert max(first) < 1


def test_only_a_policy_with_a_control_share_draws() -> None:
    assert draws(parse(""), ["a"]) is None
    share = parse("control_share = 0.1")
    made = draws(share, ["a", "b"])
    assert made is not None
    assert made.tolist() == [draw("a", share.version), draw("b", share.version)]


@pytest.mark.parametrize("action", ["approve", "review"])
def test_forced_every_decision_is_that_whatever_score_rules_and_overrides_say(action: str) -> None:
    always = 'any = [{ field = "amount", above = 0 }]'
    text = f'force = "{action}"\ncontrol_share = 1\n' + rule(f"override = true\n{always}", "block")
    for score in (0.0, 0.95):
        assert decided(text, score=score, draw=0.0) == Verdict(action, ("force", "r"))
    assert decided(f'force = "{action}"', score=0.95) == Verdict(action, ("force",))


def test_a_row_without_a_number_is_decided_by_the_fallback() -> None:
    found = by_score(np.array([NAN, 0.95, NAN]), 3, LIMITS, "review")
    assert found.tolist() == [1, 2, 1]


def test_the_policy_that_ships_is_one() -> None:
    assert parse((code_root({}) / "policy.toml").read_text()).fallback == "approve"


def test_the_same_text_is_the_same_version() -> None:
    assert parse('fallback = "review"').version == parse('fallback = "review"').version
    assert parse('fallback = "review"').version != parse('fallback = "approve"').version


def test_published_bytes_are_the_version_that_was_asked_for_or_refused() -> None:
    text = 'fallback = "review"'
    assert decode(text.encode(), parse(text).version).fallback == "review"
    with pytest.raises(InvalidInputError, match="its content is that of version"):
        decode(text.encode(), "0" * 16)
    with pytest.raises(InvalidInputError, match="is no text"):
        decode(b"\xff", "0" * 16)
