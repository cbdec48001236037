"""What a run came to: the checks, and the numbers of the summary, read from the stack."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from common.errors import InvalidInputError
from stream_features.spec import Spec
from streamscore import monitoring
from streamscore.decided.decisions_log import Stack
from streamscore.demo import checks, contents
from streamscore.demo.checks import Check, Vectors
from streamscore.demo.material import Material
from streamscore.demo.summary import Cost, Decided, Drift, Summary, latency_of, performance_of
from streamscore.producer.stream import Sent

WINDOW = timedelta(minutes=5)


def gather(stack: Stack, spec: Spec, prepared: Material, sent: Sent, began: datetime) -> Summary:
    """Everything there is to say after a replay that began then and is worked off."""
    decided = contents.decisions(stack)
    vectors = served_vectors(spec, prepared, decided)
    summary = numbers(stack, decided, began)
    return msgspec.structs.replace(
        summary,
        checks=(
            _decided_once(stack, prepared, decided, began),
            checks.state_equals_backfill(_expected_states(prepared), contents.state_blobs(stack, spec)),
            checks.vectors_equal_backfill(vectors),
        ),
        events={"of history": prepared.history, "live": sent.events, "labels": sent.labels},
        parity=tuple(checks.parity_by_feature(vectors)),
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
