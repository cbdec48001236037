"""Reads from a stack what the report says."""

from collections.abc import Mapping
from datetime import UTC, datetime

from common.errors import InvalidInputError
from common.metrics import BY_NAME
from monitor.cost import NAMES as COSTS
from monitor.cost import cost
from streamscore import monitoring
from streamscore.decided.decisions_log import decisions_log
from streamscore.demo import contents
from streamscore.estimate.price_file import PriceTable
from streamscore.monitoring import Stack
from streamscore.report import watched
from streamscore.report.content import Count, Drift, Report
from streamscore.report.lineage import lineage
from streamscore.report.tally import Tally

COUNTS = (
    "EventsReceived",
    "EventsApplied",
    "LabelsReceived",
    "LabelsApplied",
    "LabelsStored",
    "DuplicatesDropped",
    "RecordsReplayed",
    "RecordsBeforeCutover",
    "RecordsUnfinished",
    "RecordsQuarantined",
    "StateConflicts",
    "DecisionsMade",
    "DecisionsRepeated",
    "DecisionsPublished",
    "DecisionsDeferred",
    "FeaturesMissing",
    "ScoresMissing",
    "ModelMissing",
    "ModelRejected",
    "PolicyRefused",
    "ChallengerFailed",
    "InvocationsFailed",
    "ColdStarts",
    "DecisionsCounted",
    "LabelsCounted",
)
"""The metrics shown as they were counted, in the order of the way."""


def gather(stack: Stack, name: str, since: datetime, until: datetime, table: PriceTable) -> Report:
    """The report of what was decided, and counted by the monitor and the meter, from `since` to `until`.

    Decisions are read one by one (`decisions_log`); everything else was summed up as it happened.
    """
    tally = Tally()
    for decided in decisions_log(stack, _ms(since), _ms(until)):
        tally.add(decided)
    sums = monitoring.metered_sums(stack, since, until, (*COSTS, *COUNTS))
    counted = _by_name(sums)
    drift = _drift(stack, since, until)
    return Report(
        stack=name,
        since=_iso(since),
        until=_iso(until),
        made=_iso(datetime.now(UTC)),
        model=drift.champion.model if drift else None,
        traffic=tally.traffic(),
        drift=drift,
        months=tally.months(),
        unlabelled=tally.unlabelled,
        why=tally.why(),
        cost=cost({at: usd for at, usd in sums.items() if at[1] in COSTS}, table.prices),
        prices=f"{table.region}, {table.as_of}",
        agree=_agree(stack, tally, counted, since, until),
        lineage=lineage(stack, tally.models),
        counts=tuple(Count(one, counted.get(one, 0), BY_NAME[one].meaning) for one in COUNTS),
    )


def _drift(stack: Stack, since: datetime, until: datetime) -> Drift | None:
    """None without a model."""
    try:
        return watched.drift(monitoring.watched(stack, since, until))
    except InvalidInputError:
        return None


def _agree(
    stack: Stack, tally: Tally, counted: Mapping[str, int], since: datetime, until: datetime
) -> tuple[Count, ...]:
    by_monitor = sum(monitoring.counted(stack, version, since, until) for version in tally.models)
    return (
        Count(
            "Events applied", counted.get("EventsApplied", 0), "feature rows made durable, by stream_features"
        ),
        Count("Decisions made", counted.get("DecisionsMade", 0), "stored for the first time, by scoring"),
        Count("Decisions in the table", tally.models.total(), "read one by one for this page"),
        Count("Decisions counted", by_monitor, "by the monitor, from the table's change stream"),
        Count("Records quarantined", contents.set_aside(stack, "quarantine/"), "lie in quarantine/ now"),
        Count("Records failed", contents.given_up(stack), "lie in failed batches now"),
    )


def _by_name(sums: Mapping[tuple[str, str], float]) -> dict[str, int]:
    found: dict[str, float] = {}
    for (_, name), value in sums.items():
        found[name] = found.get(name, 0.0) + value
    return {name: round(value) for name, value in found.items() if name in COUNTS}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
