"""Verdicts of whole batches are those of the oracle, row by row, for any policy and any rows."""

from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.bundle import Thresholds
from scoring.policy import apply, by_score
from scoring.policy_file import parse
from scoring.rules import Batch, Rules, check
from stream_features import spec as specs
from tests import oracle_policy
from tests.profiles import examples

LIMITS = Thresholds(review=0.5, block=0.9)
MIDNIGHT_MS = 1_798_761_600_000  # 2027-01-01
SPEC = specs.parse("""
[event]
id = "id"
time = "at"
keep = ["amount", "shop", "speed", "tries", "flag"]
fields = { amount = "decimal(2)?", shop = "string?", speed = "float?", tries = "int?", flag = "bool?" }
[entities]
card = "card"
terminal = "terminal"
[[feature]]
name = "amount"
op = "value"
of = "amount"
[[feature]]
name = "hour"
op = "hour"
[[feature]]
name = "seen"
entity = "card"
op = "count"
windows = ["1d"]
""")
NUMBERS = ["0", "0.29", "0.2899999999999999999999", "-1", "2", "2.5", "12.34", "1", "9007199254740992"]
SHOPS, CARDS = ['"a"', '"0012"'], ['"c1"', '"c2"']
UNTIL = ["2026-12-31", "2027-01-01T00:00:00Z", "2026-12-31T23:59:59.999", "2027-01-01T05:00:00+05:00"]
MOMENTS = [MIDNIGHT_MS + delta for delta in (-86_400_000, -2, -1, 0, 1)]

numbers, texts = st.sampled_from(NUMBERS), st.sampled_from(SHOPS + CARDS)
subjects = {
    'feature = "amount"': numbers,
    'feature = "seen"': numbers,
    'field = "amount"': numbers,
    'field = "tries"': numbers,
    'field = "speed"': numbers,
    'field = "flag"': st.sampled_from(["true", "false"]),
    'field = "shop"': st.sampled_from(SHOPS),
    'entity = "card"': st.sampled_from(CARDS),
}
ORDERED = {subject for subject, operands in subjects.items() if operands is numbers}


def listed(operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A value, or one with an end."""
    ending = st.builds("{{ value = {}, until = {} }}".format, operands, st.sampled_from(UNTIL))
    return operands | ending


@st.composite
def condition(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 3)) == 0:
        return '{ feature = "seen", above = -1 }'
    subject = draw(st.sampled_from(sorted(subjects)))
    tests = ["equals", "in", "named"] + (["above", "below"] if subject in ORDERED else [])
    test = draw(st.sampled_from(tests))
    if test == "named":
        kind = "flags" if "flag" in subject else "numbers" if subject in ORDERED else "texts"
        return f'{{ {subject}, in = "{kind}" }}'
    if test == "in":
        values = draw(st.lists(listed(subjects[subject]), min_size=1, max_size=4))
        return f"{{ {subject}, in = [{', '.join(values)}] }}"
    return f"{{ {subject}, {test} = {draw(subjects[subject])} }}"


@st.composite
def rule(draw: st.DrawFn) -> str:
    counts = draw(st.sampled_from([(1, 0), (0, 1), (0, 2), (2, 0), (1, 2)]))
    every, some = ([draw(condition()) for _ in range(count)] for count in counts)
    lines = [f"decision = {draw(st.sampled_from(['"approve"', '"review"', '"block"']))}"]
    lines += [f"{key} = [{', '.join(found)}]" for key, found in (("all", every), ("any", some)) if found]
    lines += draw(st.sampled_from([[], ["override = true"], ['mode = "shadow"']]))
    return "\n".join(lines)


@st.composite
def policy(draw: st.DrawFn) -> str:
    head = draw(st.sampled_from(["", 'fallback = "review"', 'fallback = "block"']))
    share = draw(
        st.sampled_from(
            ["", "control_share = 0.25", "control_share = 0.25", "control_share = 1", "control_share = 0"]
        )
    )
    force = draw(st.sampled_from([""] * 6 + ['force = "approve"', 'force = "review"']))
    flags = st.sampled_from(["true", "false"])
    lists = [
        f"[lists.{name}]\nvalues = [{', '.join(draw(st.lists(listed(operands), max_size=4)))}]"
        for name, operands in (("numbers", numbers), ("texts", texts), ("flags", flags))
    ]
    rules = draw(st.lists(rule(), min_size=1, max_size=5))
    named = [f'[[rule]]\nname = "r{n}"\n{text}' for n, text in enumerate(rules)]
    return "\n".join([head, share, force, *lists, *named])


cents = st.sampled_from([0, 28, 29, 30, -100, 200, 250, 1234, 1235, 2**53, None])
rows = st.fixed_dictionaries(
    {
        "amount": cents,
        "shop": st.sampled_from(["a", "0012", "", None]),
        "speed": st.sampled_from([0.29, 0.0, -0.0, 2.5, 12.34, None]),
        "tries": st.sampled_from([0, 1, 2, 3, -1, None]),
        "flag": st.sampled_from([True, False, None]),
        "card": st.sampled_from(["c1", "c2", "c3"]),
        "features": st.tuples(*[st.sampled_from([0.0, 0.29, 1.0, 2.0, 2.5, 12.34, float("nan")])] * 3),
        "score": st.sampled_from([0.0, 0.499999, 0.5, 0.9, 1.0, float("nan")]),
        "at_ms": st.sampled_from(MOMENTS),
        "draw": st.sampled_from([0.0, 0.25 - 2**-53, 0.25, 0.5, 1 - 2**-53]),
    }
)


@settings(max_examples=examples(300))
@given(
    text=policy(), batch=st.lists(rows, min_size=1, max_size=12), scored=st.booleans(), drawn=st.booleans()
)
def test_a_batch_is_decided_as_its_rows_one_by_one(
    text: str, batch: list[dict[str, Any]], scored: bool, drawn: bool
) -> None:
    found = parse(text)
    check(found, SPEC)
    features = np.array([row["features"] for row in batch], np.float32).reshape(len(batch), 3)
    columns = Batch(
        features,
        [tuple(row[name] for name in SPEC.event.keep) for row in batch],
        [(row["card"], "t1") for row in batch],
    )
    scores = np.array([row["score"] for row in batch]) if scored else None
    severity = by_score(scores, len(batch), LIMITS, found.fallback)
    fired = Rules(found, SPEC).fired(columns, np.array([row["at_ms"] for row in batch], np.int64))
    draws = np.array([row["draw"] for row in batch]) if drawn else None
    verdicts = apply(found, severity, fired, draws)
    expected = [
        oracle_policy.verdict(text, seen(row, scored, drawn), LIMITS.review, LIMITS.block) for row in batch
    ]
    assert [tuple(verdict) for verdict in verdicts] == expected


def seen(row: dict[str, Any], scored: bool, drawn: bool) -> oracle_policy.Seen:
    amount = None if row["amount"] is None else Decimal(row["amount"]) / 100
    return oracle_policy.Seen(
        dict(zip(SPEC.feature_names, np.array(row["features"], np.float32), strict=True)),
        {"amount": amount, **{name: row[name] for name in ("shop", "speed", "tries", "flag")}},
        {"card": row["card"], "terminal": "t1"},
        row["score"] if scored else None,
        oracle_policy.at(row["at_ms"]),
        row["draw"] if drawn else None,
    )
