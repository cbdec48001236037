"""Recorded decisions against what another model or policy would have decided, without touching anything."""

from collections.abc import Iterable

from scoring.model import Model
from scoring.policy import Policy
from streamscore.backtest.again import Known, Redecider
from streamscore.backtest.result import Coverage, Result
from streamscore.backtest.sums import Sums, day_of
from streamscore.decided.stored import Decided


def backtest(
    decisions: Iterable[Decided],
    known: Known,
    model: Model | None = None,
    policy: Policy | None = None,
    amount: str | None = None,
) -> Result:
    """Decide each of `decisions` again with `model` and `policy`; what is not given stays the decision's own.

    `known` finds what the decisions name: their specs and, where not replaced, their models and policies.
    `amount` is a kept field to add up by flip. Decisions are read once, ROWS at a time.
    """
    redecider, sums = Redecider(known, model, policy), Sums(amount)
    for one in redecider.again(decisions):
        sums.add(one)
    made = sums.flips.total()
    return Result(
        model=model.version if model else None,
        policy=policy.version if policy else None,
        since=None if sums.first_ms is None else day_of(sums.first_ms),
        until=None if sums.last_ms is None else day_of(sums.last_ms),
        models=dict(sums.models.most_common()),
        policies=dict(sums.policies.most_common()),
        sources=dict(sums.sources.most_common()),
        coverage=Coverage(
            read=redecider.read,
            decided=made,
            left_out=dict(redecider.left_out.most_common()),
            reproduced=sums.reproduced[True],
            not_reproduced=sums.reproduced[False],
        ),
        flips=sums.matrix(),
        days=sums.days(),
        review_capacity=policy.daily_review_capacity if policy else None,
        amount=sums.amounts(),
        reasons=sums.reasons(),
        scores=sums.scores(),
        labels=sums.labels.result(),
    )
