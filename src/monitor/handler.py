"""Counts the decisions table's stream in tumbling windows, one sketch a model version."""

import functools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from common.aws import Backoff, RemainingMs
from common.errors import TransientError
from common.settings import Settings
from common.telemetry import count, logger, note, observed
from common.tracing import annotate, step
from monitor import baseline, windows
from monitor.images import News, news
from monitor.store import Store
from monitor.tally import merged
from monitor.windows import Window
from scoring.policy import Policy


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: one batch of a window.

    While DynamoDB or S3 refuse it waits here: Lambda's attempts are few, and what is given up is not counted.
    """
    return patiently(lambda: count_batch(event, _store(), time.time()), context.get_remaining_time_in_millis)


def patiently[T](work: Callable[[], T], remaining_ms: RemainingMs, backoff: Backoff | None = None) -> T:
    """What `work` gives, tried again while time allows and that can help; else its last TransientError."""
    for _ in (backoff or Backoff()).tries(remaining_ms):
        try:
            return work()
        except TransientError as error:
            late = error
            logger().warning("not counted yet", extra={"error": str(error)})
    raise late


def count_batch(event: Mapping[str, Any], store: Store, now_s: float) -> dict[str, Any]:
    """Gather the batch and its models' bins, add its sketches to the window's, write them if it ends here."""
    with step("read"):
        policy = store.policy_now(now_s)
        window = windows.read(event)
        found = news(event.get("Records") or (), policy.monitoring.performance.amount)
        models = _models(window, found, store, policy)
    annotate(batch_size=len(event.get("Records") or ()), model_version=" ".join(models))
    with step("merge"):
        before = windows.unpack(window, {version: model.layout for version, model in models.items()})
        state, items = windows.close(window, merged(before, baseline.observed(found, models)))
    with step("store", items=len(items)):
        store.write(items, now_s)
    _tell(window, items)
    return {"state": state, "batchItemFailures": []}


def _models(window: Window, found: News, store: Store, policy: Policy) -> dict[str, baseline.Model]:
    specs: dict[str, set[str]] = {version: set() for version in window.models}
    for part in found:
        for seen in part:
            specs.setdefault(seen.model, set()).add(seen.spec)
    return {version: store.model(version, shas, policy) for version, shas in specs.items()}


def _tell(window: Window, items: list[windows.Item]) -> None:
    if not items:
        return
    note(window_start=window.start, models=",".join(item.who.model for item in items))
    own = [item for item in items if not item.who.challenger]  # a challenger counts the same events again
    count("WindowsClosed")
    count("WindowsClosedEarly", window.early or not window.final)
    count("DecisionsCounted", sum(item.tally.decisions for item in own))
    count("LabelsCounted", sum(item.tally.labelled for item in own))


@functools.cache
def _store() -> Store:
    return Store.open(Settings.from_environ(os.environ))
