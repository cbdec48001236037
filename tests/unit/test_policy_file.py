"""`policy.toml` with a mistake is refused with the line it stands on, the key, and what would be right."""

import pytest

from common.errors import InvalidInputError
from scoring.policy import FOREVER_MS, Value
from scoring.policy_file import parse
from scoring.rules import check
from scoring.watch import DriftLimits, DriftWatch
from streamscore.policies.published import forced
from tests import small_model

HEAD = '[[rule]]\nname = "first"\ndecision = "review"\nall = [{ feature = "amount", above = 1 }]\n\n'


def rule(body: str) -> str:
    """A second rule, whose `all` begins on line 9."""
    return f'{HEAD}[[rule]]\nname = "r"\ndecision = "block"\n{body}\n'


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("fallback = deny", 1, "not valid TOML"),
        ('\nfallback = "deny"', 2, 'fallback must be one of approve, review, block, not "deny"'),
        ("falback = 1", 1, "unknown key 'falback'; did you mean 'fallback'"),
        ('force = "block"', 1, "force must be one of approve, review"),
        ("\ncontrol_share = 1.5", 2, "control_share must be a number from 0 to 1, not 1.5"),
        ("control_share = nan", 1, "control_share must be a number from 0 to 1"),
        ("control_share = true", 1, "control_share must be a number from 0 to 1"),
        ("daily_review_capacity = 1.5", 1, "must be a whole number"),
        ("[thresholds.v]\nreview = 0.9\nblock = 0.1", 3, "block is below review"),
        ("[thresholds.v]\nreview = 2\nblock = 3", 2, "review must be a number from 0 to 1, not 2"),
        ("[thresholds.v]\nreview = 0.5", 1, "block must be a number from 0 to 1, not nothing"),
        ("[thresholds]\nv = { review = 0.9, block = 0.1 }", 2, "block is below review"),
        ("[thresholds.v]\nreveiw = 0.5", 2, "unknown key 'reveiw'; did you mean 'review'"),
        ("lists = 1", 1, "'lists' holds tables"),
        ("[lists]\nx = [1]", 2, "must be a table: [lists.x]"),
        ("[lists.x]\nvalue = [1]", 2, "unknown key 'value'; did you mean 'values'"),
        ("[lists.x]\nvalues = 1", 2, "'values' must be a list of values"),
        ("[lists.x]", 1, "'values' must be a list of values"),
        ('[lists.x]\nvalues = [\n  "a", # "b", [\n  "]",\n  nan,\n]', 5, "NaN is no number"),
        ("[lists.x]\nvalues = [1,\n  { value = 1, until = 3 }]", 3, "until must be a date"),
        ("[lists.x]\nvalues = [1,\n{ value = 1, til = 2026-12-31 }]", 3, "unknown key 'til'"),
        ("[lists.x]\nvalues = [[1]]", 2, "a value is a text, a number, true or false"),
        ("[lists.x]\nvalues = [99999999999999999999]", 2, "is no number that anything is compared with"),
        ("drift = 1", 1, "'drift' must be a table"),
        ("[drift]\nreference = 'week'", 2, 'reference must be one of seasonal, baseline, not "week"'),
        ("[drift]\nmin_decision = 5", 2, "unknown key 'min_decision'; did you mean 'min_decisions'"),
        ("[drift]\nmin_decisions = 0", 2, "min_decisions must be a whole number from 1"),
        ("[drift]\nalert = 0.2", 2, "'alert' must be a table: [drift.alert]"),
        ("[drift.alert]\nmean = 1\npsi = 0", 3, "psi must be a number above 0, at most 100, not 0"),
        ("[drift]\nretrain = { psi = 0.3, std = 0.5 }", 2, "std must be a number above 1, at most 1000"),
        ("[drift.retrain]\nmissing = 2", 2, "missing must be a number above 0, at most 1, not 2"),
        ("[performance]\ndays = 91", 2, "days must be a whole number from 1 to 90, not 91"),
        ("[performance]\namount = 5", 2, "'amount' must be a text that is not empty"),
        ("[performance.alert]\nroc_auc = true", 2, "roc_auc must be a number above 0, at most 1"),
        ("[cost]\nper_million = 5", 2, "unknown key 'per_million'; did you mean 'per_million_usd'"),
        ("[cost]\nper_million_usd = 0", 2, "per_million_usd must be a number above 0"),
        (HEAD + HEAD, 7, "there is a rule 'first' above"),
        (rule(""), 6, "has neither `all` nor `any`"),
        (rule("al = []"), 9, "unknown key 'al'; did you mean 'all'"),
        (rule('mode = "off"\nall = [{ feature = "amount", above = 1 }]'), 9, "mode must be live or shadow"),
        (rule('override = 1\nall = [{ feature = "a", above = 1 }]'), 9, "override must be true or false"),
        (HEAD.replace('"review"', '"deny"'), 3, "decision must be one of"),
        (HEAD.replace('"first"', '"control"'), 2, "decisions use 'force', 'control' and"),
        (HEAD.replace('"first"', '""'), 2, "'name' must be a text that is not empty"),
        (HEAD.replace('"first"', f'"{"x" * 65}"'), 2, "at most 64 characters"),
        (rule("all = 1"), 9, "'all' must be a list of conditions"),
        (rule("all = [1]"), 9, "a condition is a table"),
        (rule('all = [\n{ field = "a", above = 1 },\n{ field = "a" }]'), 11, "this one has none"),
        (rule('all = [\n{ field = "a", above = 1, below = 2 }]'), 10, "this one has above and below"),
        (rule("all = [{ above = 1 }]"), 9, "one of feature, field, entity, this one has none"),
        (rule('all = [{ field = "a", over = 1 }]'), 9, "unknown key 'over'"),
        (rule('all = [{ field = 1, above = 1 }]'), 9, "field must be a name"),
        (rule('all = [{ field = "a", above = "b" }]'), 9, 'above needs a number, not "b"'),
        (rule('all = [{ field = "a", above = true }]'), 9, "above needs a number, not true"),
        (rule('all = [{ field = "a", above = inf }]'), 9, "is no number"),
        (rule('all = [{ feature = "a", equals = "b" }]'), 9, 'a feature is a number, it never equals "b"'),
        (rule('all = [{ entity = "a", equals = 12 }]'), 9, "an entity's id is text"),
        (rule('all = [{ entity = "a", above = 12 }]'), 9, "an entity's id is text"),
        (rule('any = [{ field = "a", in = "xs" }]\n[lists.x]\nvalues = []'), 9, "no list [lists.xs]"),
        (rule('any = [{ field = "a", in = [] }]'), 9, "in needs the name of a list, or values"),
        (rule('any = [{ field = "a", in = 1 }]'), 9, "in needs the name of a list, or values"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse(text, "mine.toml")
    assert str(refused.value).startswith(f"mine.toml:{line}: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ('feature = "amonut", above = 1', "the spec has no feature 'amonut'; did you mean 'amount'"),
        ('field = "shpo", equals = "x"', "the spec has no kept field 'shpo'; did you mean 'shop'"),
        ('entity = "cards", equals = "x"', "the spec has no entity 'cards'; did you mean 'card'"),
        ('field = "shop", above = 1', "'shop' is text"),
        ('field = "shop", in = ["a", 1]', "'shop' is text"),
        ('field = "amount", equals = "1"', "'amount' is a number (decimal)"),
    ],
)
def test_a_condition_that_could_never_hold_over_the_spec_is_refused_with_its_line(
    condition: str, says: str
) -> None:
    policy = parse(
        rule(f'any = [\n  {{ feature = "amount", above = 1 }},\n  {{ {condition} }},\n]'), "mine.toml"
    )
    with pytest.raises(InvalidInputError) as refused:
        check(policy, small_model.spec())
    assert str(refused.value).startswith("mine.toml:11: rule 'r': ")
    assert says in str(refused.value)


def test_a_field_that_is_not_kept_is_named_so() -> None:
    from stream_features import spec as specs

    spec = specs.parse(small_model.SPEC.replace('keep = ["amount", "shop"]', 'keep = ["amount"]'))
    with pytest.raises(InvalidInputError, match="'shop' is not in 'keep'"):
        check(parse(rule('any = [{ field = "shop", equals = "x" }]')), spec)


def test_everything_a_policy_can_say_is_kept() -> None:
    policy = parse("""
fallback = "review"
control_share = 0.02
daily_review_capacity = 200
[thresholds.abc]
review = 0.25
block = 0.5
[lists.x]
values = ["a", { value = 1.5, until = 1970-01-01 }]
[drift]
reference = "baseline"
[drift.alert]
psi = 0.25
[performance]
amount = "amount"
[cost]
per_million_usd = 25
""")
    assert (policy.fallback, policy.control_share, policy.daily_review_capacity) == ("review", 0.02, 200)
    assert policy.thresholds["abc"].block == 0.5
    assert [(str(v.value), v.until_ms) for v in policy.lists["x"]] == [("a", FOREVER_MS), ("1.5", 86_400_000)]
    watch = policy.monitoring
    assert (watch.drift.reference, watch.drift.alert) == ("baseline", DriftLimits(psi=0.25))
    assert watch.drift.retrain == DriftWatch().retrain
    assert (watch.performance.amount, watch.cost.per_million_usd) == ("amount", 25.0)
    assert policy.force is None
    assert Value("a") == policy.lists["x"][0]


@pytest.mark.parametrize("text", ["", 'fallback = "review"\n', HEAD, "broken ="])
def test_what_is_forced_is_the_same_policy_forced(text: str) -> None:
    once = forced(text, "approve")
    assert parse(once).force == "approve"
    assert forced(forced(text, "review"), "approve") == once
    if text != "broken =":
        assert parse(once)._replace(version="", force=None, rules=()) == parse(text)._replace(
            version="", rules=()
        )
        assert [r.name for r in parse(once).rules] == [r.name for r in parse(text).rules]
