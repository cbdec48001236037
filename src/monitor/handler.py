"""Counts the decisions table's stream in tumbling windows, one sketch a model version."""

import functools
import os
import time
from collections.abc import Mapping
from typing import Any

from common.settings import Settings
from common.telemetry import count, note, observed
from common.tracing import annotate, step
from monitor import baseline, windows
from monitor.images import News, news
from monitor.store import Store
from monitor.windows import Window


@observed
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry: one batch of a window."""
    return count_batch(event, _store(), time.time())


def count_batch(event: Mapping[str, Any], store: Store, now_s: float) -> dict[str, Any]:
    """Gather the batch and its models' bins, add its sketches to the window's, write them if it ends here."""
    with step("read"):
        window, found = windows.read(event), news(event.get("Records") or ())
        models = _models(window, found, store)
    annotate(batch_size=len(event.get("Records") or ()), model_version=" ".join(models))
    with step("merge"):
        before = windows.unpack(window, {version: model.layout for version, model in models.items()})
        sketches = windows.add(before, baseline.observed(found, models))
        state, items = windows.close(window, sketches)
    with step("store", items=len(items)):
        store.write(items, now_s)
    _tell(window, items)
    return {"state": state, "batchItemFailures": []}


def _models(window: Window, found: News, store: Store) -> dict[str, baseline.Model]:
    specs: dict[str, set[str]] = {version: set() for version in window.packed}
    for part in found:
        for seen in part:
            specs.setdefault(seen.model, set()).add(seen.spec)
    return {version: store.model(version, shas) for version, shas in specs.items()}


def _tell(window: Window, items: list[windows.Item]) -> None:
    if not items:
        return
    note(window_start=window.start, models=",".join(item.model for item in items))
    count("WindowsClosed")
    count("WindowsClosedEarly", window.early or not window.final)
    count("DecisionsCounted", sum(item.sketch.decided for item in items))
    count("LabelsCounted", sum(item.sketch.labelled for item in items))


@functools.cache
def _store() -> Store:
    return Store.open(Settings.from_environ(os.environ))
