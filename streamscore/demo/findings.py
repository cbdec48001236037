"""What a run came to: the checks, and the numbers of the summary, read from the stack."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from common.errors import InvalidInputError
from stream_features.spec import Spec
from streamscore import monitoring
from streamscore.backtest.again import Redecider
from streamscore.backtest.result import Labels
from streamscore.decided.decisions_log import Stack, decisions_log
from streamscore.decided.stored import Decided as Stored
from streamscore.demo import checks, contents
from streamscore.demo import unattended as claims
from streamscore.demo.checks import Check, Vectors
from streamscore.demo.drift import Acted
from streamscore.demo.life import Lived
from streamscore.demo.material import Material
from streamscore.demo.summary import (
    Cost,
    Decided,
    Drift,
    Life,
    Ranked,
    Summary,
    latency_of,
    performance_of,
)
from streamscore.promotion import examined
from streamscore.retraining import following

WINDOW = timedelta(minutes=5)


def gather(stack: Stack, spec: Spec, prepared: Material, lived: Lived, acted: Acted | None = None) -> Summary:
    """Everything there is to say after a replay that is worked off."""
    recorded = list(decisions_log(stack))
    reasons = _reasons(stack, acted) if acted else []
    decided = {one.id: contents.decided_of(one) for one in recorded}
    vectors = served_vectors(spec, prepared, decided)
    summary = numbers(stack, decided, lived.began)
    return msgspec.structs.replace(
        summary,
        checks=(
            _decided_once(stack, prepared, decided, lived.began),
            checks.state_equals_backfill(_expected_states(prepared), contents.state_blobs(stack, spec)),
            checks.vectors_equal_backfill(vectors),
            *_life_checks(stack, recorded, lived),
            *(_drift_checks(recorded, acted, reasons) if acted else ()),
        ),
        events={"of history": prepared.history, "live": lived.sent.events, "labels": lived.sent.labels},
        parity=tuple(checks.parity_by_feature(vectors)),
        life=_life(recorded, lived),
        unattended=claims.unattended(acted, [reason["text"] for reason in reasons]) if acted else None,
    )


def numbers(stack: Stack, decided: Mapping[str, Decided], began: datetime) -> Summary:
    """The summary of a stack's decisions, without any claim: what `report` shows."""
    some = list(decided.values())
    models = Counter(one.model for one in some if one.model)
    return Summary(
        checks=(),
        events={"decided": len(some)},
        decisions=dict(Counter(one.decision for one in some).most_common()),
        latency=latency_of([one.latency_ms for one in some]),
        performance=performance_of(some),
        drift=_drift(stack, began),
        cost=_cost(stack, began),
        model=next((model for model, _ in models.most_common(1)), None),
    )


def _life_checks(stack: Stack, recorded: Sequence[Stored], lived: Lived) -> tuple[Check, ...]:
    return (
        checks.refused_by_the_gate([check.name for check in lived.refused]),
        checks.backtested(lived.backtest),
        checks.promoted(
            [check.name for check in lived.gate if not check.held],
            lived.promotion,
            lived.enough,
            "; ".join(f"{check.name} {check.seen}" for check in lived.gate),
        ),
        checks.swapped_while_events_flowed(
            [(model, _who(recorded, *when)) for model, when in lived.phases()],
            sum(one.decision.model is None for one in recorded),
        ),
        checks.shadow_equals_backtest(*_made_again(stack, lived.challenger, _in_shadow(recorded, lived))),
    )


def _drift_checks(
    recorded: Sequence[Stored], acted: Acted, reasons: Sequence[Mapping[str, str]]
) -> tuple[Check, ...]:
    return (
        claims.promoted_by_itself(acted, [reason["kind"] for reason in reasons]),
        claims.alarm_over(acted),
        claims.rolled_back_by_itself(acted),
        checks.swapped_while_events_flowed(
            [(model, _who(recorded, *when)) for model, when in acted.phases()],
            sum(one.decision.model is None for one in recorded),
            "retrained model swapped in and out",
        ),
        claims.flowed(acted, [one.decision.scored_at_ms for one in recorded]),
    )


def _reasons(stack: Stack, acted: Acted) -> list[dict[str, str]]:
    """Why the run of the act ran, as it wrote down when it began."""
    return list(following.result_of(stack, acted.run, "request.json").get("reasons", ()))


def _in_shadow(recorded: Sequence[Stored], lived: Lived) -> list[Stored]:
    """What the first challenger scored."""
    return [
        one
        for one in recorded
        if one.decision.challenger and one.decision.challenger.model == lived.challenger
    ]


def _life(recorded: Sequence[Stored], lived: Lived) -> Life:
    """What became of champion and challenger."""
    by, shadow = Counter(one.decision.model for one in recorded), _in_shadow(recorded, lived)
    would = [one.decision.challenger.decision for one in shadow if one.decision.challenger]
    return Life(
        champion=lived.champion,
        challenger=lived.challenger,
        by_champion=by[lived.champion],
        by_challenger=by[lived.challenger],
        shadowed=len(shadow),
        flips=sum(one.action != action for one, action in zip(shadow, would, strict=True)),
        alerts=sum(one.action != "approve" for one in shadow),
        challenger_alerts=sum(action != "approve" for action in would),
        gate=tuple(lived.gate),
        forced=lived.promotion.forced if lived.promotion else (),
        reason=lived.promotion.reason if lived.promotion else "",
        backtest=_ranked(lived.backtest.labels) if lived.backtest else None,
    )


def _ranked(labels: Labels) -> Ranked:
    before, after = ((side.roc_auc, side.average_precision) for side in (labels.before, labels.after))
    return Ranked(labels.matured, labels.positives, before, after)


def _who(recorded: Sequence[Stored], since_ms: int, until_ms: float) -> Counter[str | None]:
    """Which models made the decisions of a time."""
    return Counter(one.decision.model for one in recorded if since_ms <= one.decision.scored_at_ms < until_ms)


def _made_again(stack: Stack, challenger: str, shadow: Sequence[Stored]) -> tuple[int, int]:
    """How many of the challenger's scores were computed again from the recorded vectors, and how many of them
    differ.
    """
    model = examined.candidate(stack, challenger).model
    again = Redecider(examined.known(stack), model, examined.policy(stack)).again(shadow)
    equal = [
        one.before.decision.challenger.score == one.score for one in again if one.before.decision.challenger
    ]
    return len(equal), len(shadow) - sum(equal)


def with_check(summary: Summary, check: Check) -> Summary:
    """The same with one more check."""
    return msgspec.structs.replace(summary, checks=(*summary.checks, check))


def served_vectors(spec: Spec, prepared: Material, decided: Mapping[str, Decided]) -> Vectors:
    """The live events' vectors, as decisions hold them and as the backfill computes them."""
    rows = np.flatnonzero(prepared.live)
    ids = prepared.whole.ids.gather(rows).to_list()
    served = {id_: decided[id_].vector for id_ in ids if id_ in decided}
    return checks.line_up(spec.feature_names, ids, prepared.whole.features[rows], served)


def _decided_once(stack: Stack, prepared: Material, decided: Mapping[str, Decided], began: datetime) -> Check:
    return checks.decided_exactly_once(
        set(prepared.whole.ids.filter(prepared.live).to_list()),
        decided.keys(),
        first_decisions=monitoring.metered(stack, began, _now()).decisions,
        quarantined=contents.set_aside(stack, "quarantine/"),
        failed=contents.given_up(stack),
    )


def _expected_states(prepared: Material) -> dict[str, bytes]:
    return {
        f"{entity.name}#{value}": blob
        for entity in prepared.whole.spec.entities
        for value, blob in prepared.whole.states(entity.name)
        if blob
    }


def _drift(stack: Stack, began: datetime) -> tuple[Drift, ...]:
    """None while no model is promoted."""
    try:
        _, found = monitoring.drift(stack, began - WINDOW, _now() + WINDOW)
    except InvalidInputError:
        return ()
    return tuple(Drift(row.name, row.psi) for row in (found.score, *found.features))


def _cost(stack: Stack, began: datetime) -> Cost | None:
    found = monitoring.metered(stack, began, _now())
    if not found.decisions:
        return None
    return Cost(found.total_usd, found.per_million_usd, found.by_service_usd)


def _now() -> datetime:
    return datetime.now(UTC)
