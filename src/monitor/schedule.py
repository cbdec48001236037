"""Once an hour: the hour's windows of the champion against its baseline, as metrics."""

import functools
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from common.settings import Settings
from common.telemetry import logger, measure, note, observed
from common.tracing import annotate, step
from monitor.compare import Comparison, compare, total
from monitor.store import Store

HOUR_S = 3600


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: the hour before the scheduled time, or before now."""
    settings = Settings.from_environ(os.environ)
    return check(_store(), settings.pointer_prefix, *hour_before(event, time.time()))


def hour_before(event: Mapping[str, Any], now_s: float) -> tuple[str, str]:
    """[since, until) of the last whole hour before the event's `scheduled_time`, else before `now_s`.

    An event that names its own `since` and `until` is taken at its word.

    >>> hour_before({"scheduled_time": "2026-11-24T16:10:00Z"}, 0.0)
    ('2026-11-24T15:00:00Z', '2026-11-24T16:00:00Z')
    """
    if "since" in event:
        return event["since"], event["until"]
    until = _scheduled_s(event, now_s) // HOUR_S * HOUR_S
    return iso(until - HOUR_S), iso(until)


def _scheduled_s(event: Mapping[str, Any], now_s: float) -> float:
    """Now if there is no such time, as from a scheduler that does not fill it in (the emulator's)."""
    try:
        return datetime.fromisoformat(event["scheduled_time"]).timestamp()
    except (KeyError, ValueError):
        return now_s


def iso(time_s: float) -> str:
    """As windows' starts are written."""
    return datetime.fromtimestamp(time_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check(store: Store, pointer_prefix: str, since: str, until: str) -> dict[str, Any]:
    """Compare the champion's windows of [since, until) and emit what they say; what was found, as data."""
    version = store.champion(pointer_prefix)
    bundle = store.bundle(version) if version else None
    if version is None or bundle is None:
        logger().info("nothing to compare: no model is promoted")
        return {"model": None, "since": since, "until": until}
    layout = store.model(version).layout
    annotate(model_version=version)
    with step("read"):
        windows = store.windows(version, since, until, layout)
    with step("compare", windows=len(windows)):
        found = compare(bundle, total(layout, (sketch for _, sketch in windows)))
    _emit(version, found)
    return {"model": version, "since": since, "until": until, "decided": found.decided}


def _emit(version: str, found: Comparison) -> None:
    note(model_version=version, decided=found.decided)
    if found.enough:
        measure("ScorePsi", found.score.psi)
        if found.features:
            worst = found.features[0]
            note(worst_feature=worst.name)
            measure("WorstFeaturePsi", worst.psi)
    if found.labels and not math.isnan(found.labels.roc_auc.value):
        measure("RocAuc", found.labels.roc_auc.value)
        measure("AveragePrecision", found.labels.average_precision.value)


@functools.cache
def _store() -> Store:
    return Store.open(Settings.from_environ(os.environ))
