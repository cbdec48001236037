"""Every five minutes: the newest windows and the hour of them against their reference; once an hour, how
matured decisions fared and what a million cost. As metrics, and as one event that names what drifted.
"""

import functools
import math
import os
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from common import aws
from common.errors import InvalidInputError
from common.settings import Settings
from common.telemetry import logger, measure, note, observed
from common.tracing import annotate, step
from monitor import notice
from monitor.look import Looked, enough
from monitor.spending import Spending
from monitor.store import Store
from monitor.times import DAY_S, HOUR_S, WINDOW_S, floor, iso
from monitor.watching import Seen, Watched, watched
from scoring.bundle import Bundle, trained_until
from scoring.bus import Bus
from scoring.watch import Watch


class Stretch(NamedTuple):
    """[since, until) of windows' starts; `hourly` asks for performance and cost too."""

    since: str
    until: str
    hourly: bool


class Parts(NamedTuple):
    """What a run needs of its stack."""

    store: Store
    bus: Bus
    spending: Spending


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: the hour of windows before the scheduled time, or before now."""
    return check(_parts(), stretch_of(event, time.time()))


def stretch_of(event: Mapping[str, Any], now_s: float) -> Stretch:
    """The hour up to the last whole five minutes before the event's `scheduled_time`, else before `now_s`.

    An event that names its own `since` and `until` is taken at its word.

    >>> stretch_of({"scheduled_time": "2026-11-24T16:07:00Z"}, 0.0)
    Stretch(since='2026-11-24T15:05:00Z', until='2026-11-24T16:05:00Z', hourly=False)
    """
    if "since" in event:
        return Stretch(event["since"], event["until"], hourly=True)
    until = floor(_scheduled_s(event, now_s), WINDOW_S)
    return Stretch(iso(until - HOUR_S), iso(until), until % HOUR_S == 0)


def _scheduled_s(event: Mapping[str, Any], now_s: float) -> float:
    """Now if there is no such time, as from a scheduler that does not fill it in (the emulator's)."""
    try:
        return datetime.fromisoformat(event["scheduled_time"]).timestamp()
    except (KeyError, ValueError):
        return now_s


def check(parts: Parts, stretch: Stretch) -> dict[str, Any]:
    """Look at the champion's windows of a stretch and emit what they say; what was found, as data."""
    since, until, hourly = stretch
    try:
        with step("look"):
            found = watched(parts.store, since, until, performance=hourly)
    except InvalidInputError as error:  # scoring says so too, by its own alarm
        logger().warning("the champion's bundle cannot be read", extra={"error": str(error)})
        found = None
    if found is None:
        logger().info("nothing to compare")
        return {"model": None, "since": since, "until": until}
    looked = found.champion.looked
    annotate(model_version=looked.model)
    note(model_version=looked.model, decided=looked.whole.comparison.decided)
    _emit_drift(found.champion)
    if hourly:
        _emit_age(parts.store.bundle(looked.model), until)
        _emit_performance(found.watch, looked)
        _emit_cost(parts.spending, found.watch, stretch)
    told = _tell(parts.bus, found)
    return {
        "model": looked.model,
        "since": since,
        "until": until,
        "decided": looked.whole.comparison.decided,
        "reference": looked.whole.comparison.reference,
        "judged": looked.verdict.judged,
        "found": [f"{finding.name}: {finding.kind}" for finding in looked.verdict.findings],
        "told": told,
    }


def _emit_drift(seen: Seen) -> None:
    looked, comparison = seen.looked, seen.looked.whole.comparison
    if not enough(seen.subject, looked):
        return
    measure("ScorePsi", comparison.score.psi)
    worst = next((row for row in comparison.features if row.comparable), None)
    if worst:
        note(worst_feature=worst.name)
        measure("WorstFeaturePsi", worst.psi)
    verdict = looked.verdict
    if verdict.features:
        note(features_drifted=",".join(verdict.features))
    measure("ScoreDrifted", float(verdict.score_drifted))
    measure("FeaturesDrifted", float(len(verdict.features)))
    measure("RetrainingAdvised", float(verdict.retrain))


def _emit_age(champion: Bundle | None, until: str) -> None:
    """How old what the champion learned from is by the stretch's end."""
    if champion is not None:
        age = datetime.fromisoformat(until) - datetime.fromisoformat(trained_until(champion))
        measure("ModelAgeDays", age.total_seconds() / DAY_S)


def _emit_performance(watch: Watch, looked: Looked) -> None:
    labels = looked.performance.labels if looked.performance else None
    if labels is None or labels.positives < watch.performance.min_positives:
        return
    if not math.isnan(labels.roc_auc.value):
        measure("RocAuc", labels.roc_auc.value)
        measure("AveragePrecision", labels.average_precision.value)
        measure("PerformanceDropped", float(looked.verdict.performance_dropped))


def _emit_cost(spending: Spending, watch: Watch, stretch: Stretch) -> None:
    """Of an hour with decisions enough: the few of a quiet one bear the cost of standing by."""
    spent = spending.between(stretch.since, stretch.until)
    if spent is None or spent.decisions < watch.drift.min_decisions:
        return
    measure("CostPerMillionUSD", spent.per_million_usd)
    if watch.cost.per_million_usd is not None:
        measure("CostOverBudget", float(spent.per_million_usd > watch.cost.per_million_usd))


def _tell(bus: Bus, found: Watched) -> bool:
    """Put the event that names what drifted, if there is something new to say; never fails the run."""
    if not notice.is_news(found.champion):
        return False
    told = bus.tell(notice.DETAIL_TYPE, notice.detail(found), time.time())
    if not told:
        logger().warning("the event bus was not told of drift", extra={"until": found.until})
    return told


@functools.cache
def _parts() -> Parts:
    settings = Settings.from_environ(os.environ)
    bus = Bus(aws.client("events", attempts=3), settings.event_bus)
    return Parts(Store.open(settings), bus, Spending(aws.client("monitoring", attempts=3), settings.stage))
