"""Decisions made over HTTP are stored, then published, then told; the first decision about an id stands."""

import time
from collections.abc import Mapping, Sequence

from common.aws import RESERVE_MS, RemainingMs
from common.telemetry import logger, some_traces
from common.tracing import step
from scoring.asked import Asked
from scoring.items import Item
from scoring.problems import ProblemError, busy
from scoring.rows import tally
from scoring.wiring import Wiring

Held = Item | ProblemError
"""The decision that stands about what was asked, or why it cannot be told."""

BUS_PATIENCE_MS = 500
"""A bus that takes nothing for this long is left alone: who asked waits for a decision, not for the bus. One
that does not answer at all is waited for once in a while (`scoring.publisher`), for BUS_TIMEOUT_S.
"""


def record(
    wiring: Wiring, asked: Sequence[Asked], items: Sequence[Item], remaining_ms: RemainingMs
) -> list[Held]:
    """Store each event's decision and say which stands. Of two with one id in a call the first is stored."""
    own = [item for each, item in zip(asked, items, strict=True) if each.event is not None]
    with step("write", items=len(own)) as writing:
        written = wiring.decisions.write(own, [], remaining_ms)
        writing.flag(throttle=bool(written.unfinished))
    with step("publish") as publishing:
        here = [item for item in (*written.made, *written.stood) if item["source"]["S"] == "api"]
        publishing.flag(throttle=bool(_untold(wiring, here)))
    tally(written)
    standing = {item["pk"]["S"]: item for item in (*written.made, *written.stood)}
    return [_held(each, item, standing) for each, item in zip(asked, items, strict=True)]


def _held(asked: Asked, own: Item, standing: Mapping[str, Item]) -> Held:
    if asked.event is None:
        return own
    item = standing.get(asked.event.id)
    if item is None:
        return busy("the decision could not be stored; ask again, with the same body")
    if "request" in item and item["request"]["B"] != asked.digest:
        return ProblemError("id_reused", "another event was decided under this id", reason="id_reused")
    return item


def _untold(wiring: Wiring, items: Sequence[Item]) -> set[str]:
    """Publish, or leave to the queue of the unpublished. Where neither can be had the answer is not held
    back: the bus is told when the event comes by the stream, or is asked about once more.
    """
    end_s = time.monotonic() + BUS_PATIENCE_MS / 1000
    untold = wiring.publisher.publish(items, lambda: RESERVE_MS + (end_s - time.monotonic()) * 1000)
    if untold:
        traces = [item["trace"]["S"] for item in items if "trace" in item and item["pk"]["S"] in untold]
        told = {"decisions": len(untold), "traces": some_traces(traces)}
        logger().warning("decided, not published", extra=told)
    return untold
