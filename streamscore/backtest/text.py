"""A backtest as a page of Markdown, for a person to decide by."""

from collections.abc import Iterator, Sequence

from scoring.policy import ACTIONS
from streamscore.backtest.result import Interval, Labels, Result

_DAYS = 31
"""So many days, the newest, are listed; JSON has all."""


def markdown(result: Result) -> Iterator[str]:
    """The lines of the page."""
    yield f"# Backtest: {_what(result)}"
    yield ""
    yield from _coverage(result)
    if not result.coverage.decided:
        return
    yield from _flips(result)
    yield from _days(result)
    yield from _amount(result)
    yield from _labels(result.labels)
    yield from _scores(result)
    yield from _reasons(result)


def _what(result: Result) -> str:
    named = ((f"model {result.model}", result.model), (f"policy {result.policy}", result.policy))
    return " and ".join(text for text, there in named if there) or "every decision's own model and policy"


def _coverage(result: Result) -> Iterator[str]:
    coverage = result.coverage
    span = f", of events from {result.since} to {result.until}" if result.since else ""
    yield f"{coverage.decided:,} of {coverage.read:,} recorded decisions made again{span}."
    for why, count in coverage.left_out.items():
        yield f"- left out: {count:,}: {why}"
    if coverage.not_reproduced:
        again = coverage.reproduced + coverage.not_reproduced
        yield f"- **{coverage.not_reproduced:,} of {again:,} scores are not what the same model had given**"
    for name, counts in (("model", result.models), ("policy", result.policies)):
        if len(counts) > 1:
            told = ", ".join(f"{version} {count:,}" for version, count in counts.items())
            yield f"- recorded by more than one {name}: {told}"
    yield ""


def _flips(result: Result) -> Iterator[str]:
    made = result.coverage.decided
    yield "## Decisions"
    yield ""
    yield f"{result.flipped:,} would have been another ({result.flipped / made:.2%})."
    yield ""
    rows = [(f"**{b}**", *(f"{result.flips[b][a]:,}" for a in ACTIONS)) for b in ACTIONS]
    yield from _table(("before ↓ after →", *ACTIONS), rows)


def _days(result: Result) -> Iterator[str]:
    days = result.days
    yield "## Alerts a day"
    yield ""
    rows = []
    for name in ("review", "block"):
        pair = [[getattr(day, f"{name}_{side}") for day in days] for side in ("before", "after")]
        rows.append((name, *(f"{sum(n) / len(days):,.1f} (most {max(n):,})" for n in pair)))
    yield from _table(("a day", "before", "after"), rows)
    if result.review_capacity is not None:
        over = sum(day.review_after > result.review_capacity for day in days)
        yield f"Over the policy's {result.review_capacity:,} reviews a day on {over} of {len(days)} days."
        yield ""
    if len(days) > _DAYS:
        yield f"The last {_DAYS} of {len(days)} days:"
        yield ""
    listed = [
        (
            day.day,
            f"{day.events:,}",
            *(f"{n:,}" for n in (day.review_before, day.review_after, day.block_before, day.block_after)),
        )
        for day in days[-_DAYS:]
    ]
    head = ("day (event time, UTC)", "events", "review before", "after", "block before", "after")
    yield from _table(head, listed)


def _amount(result: Result) -> Iterator[str]:
    amount = result.amount
    if amount is None:
        return
    yield f"## {amount.field}, summed"
    yield ""
    if not amount.present:
        yield f"No decision has kept a number {amount.field!r}."
        yield ""
        return
    rows = [(f"**{b}**", *(f"{amount.moved[b].get(a, 0.0):,.2f}" for a in ACTIONS)) for b in ACTIONS]
    yield from _table(("before ↓ after →", *ACTIONS), rows)


def _labels(labels: Labels) -> Iterator[str]:
    yield "## By matured labels"
    yield ""
    yield (
        f"{labels.matured:,} matured labels on {labels.days} days, {labels.positives:,} positive. Not used: "
        f"{labels.young:,} too young, {labels.open:,} decisions without a label."
    )
    yield ""
    yield _censored(labels)
    yield ""
    names = (
        ("ROC AUC", "roc_auc"),
        ("average precision", "average_precision"),
        ("precision of alerts", "precision"),
        ("recall of alerts", "recall"),
        ("alerts", "alert_rate"),
    )
    rows = [
        (
            title,
            _number(getattr(labels.before, name)),
            _number(getattr(labels.after, name)),
            _interval(labels.differences.get(name)),
        )
        for title, name in names
    ]
    yield from _table(("", "before", "after", "difference, 95 % by days"), rows)


def _censored(labels: Labels) -> str:
    """What cannot be known, since a blocked event does not happen."""
    if labels.weighted:
        return (
            f"Blocked events are left out ({labels.blocked:,}); the {labels.control:,} that the control "
            "share let through stand for them, each by 1 / its propensity. Blocks by an override have none "
            "that do."
        )
    if not labels.blocked and not labels.blocked_open:
        return "No event was blocked, so no label is hidden by a block."
    return (
        f"Blocked events: {labels.blocked:,} have a matured label, which is used; {labels.blocked_open:,} "
        "have none, and no control share let any through: what they would have become is not known, and is "
        "in no figure below."
    )


def _scores(result: Result) -> Iterator[str]:
    scores = result.scores
    yield "## Scores"
    yield ""
    yield (
        f"{scores.equal:,} of {scores.compared:,} equal; mean difference {scores.mean_difference:+.6f}, "
        f"largest {scores.max_difference:.6f}; {scores.gained:,} gained a score, {scores.lost:,} lost it."
    )
    yield ""


def _reasons(result: Result) -> Iterator[str]:
    reasons = result.reasons
    if not reasons.compared:
        return
    yield "## Reasons"
    yield ""
    yield (
        f"Of {reasons.compared:,} decisions flagged before and after, {reasons.changed:,} name other "
        f"features, {reasons.first_changed:,} another one first."
    )
    yield ""
    features = sorted(
        {**reasons.first_before, **reasons.first_after},
        key=lambda name: -max(reasons.first_before.get(name, 0), reasons.first_after.get(name, 0)),
    )
    rows = [
        (name, f"{reasons.first_before.get(name, 0):,}", f"{reasons.first_after.get(name, 0):,}")
        for name in features
    ]
    yield from _table(("first reason", "before", "after"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| --- |{' ---: |' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"


def _interval(found: Interval | None) -> str:
    if found is None or found.difference is None:
        return "—"
    if found.low is None or found.high is None:
        return f"{found.difference:+.4f}"
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
