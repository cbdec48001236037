"""Decisions made over HTTP are stored, then published, then told; the first decision about an id stands."""

import time
from collections.abc import Mapping, Sequence

from common.aws import RESERVE_MS, RemainingMs
from common.telemetry import count, logger
from common.tracing import step
from scoring.asked import Asked
from scoring.decisions import Written
from scoring.items import Item
from scoring.problems import ProblemError, busy
from scoring.wiring import Wiring

Held = Item | ProblemError
"""The decision that stands about what was asked, or why it cannot be told."""

BUS_PATIENCE_MS = 1_000
"""A bus that takes nothing for this long is left alone: who asked waits for a decision, not for the bus."""


def record(
    wiring: Wiring, asked: Sequence[Asked], items: Sequence[Item], remaining_ms: RemainingMs
) -> list[Held]:
    """Store each event's decision and say which stands. Of two with one id in a call the first is stored."""
    own = [item for each, item in zip(asked, items, strict=True) if each.event is not None]
    with step("write", items=len(own)) as writing:
        written = wiring.decisions.write(own, [], remaining_ms)
        writing.flag(throttle=bool(written.unfinished))
    with step("publish") as publishing:
        publishing.flag(throttle=not _published(wiring, written))
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


def _published(wiring: Wiring, written: Written) -> bool:
    """Tell the bus of what was decided here. What it does not take (False) is told again when the event comes
    by the stream, or is asked about once more.
    """
    here = [*written.made, *(item for item in written.stood if item["source"]["S"] == "api")]
    end_s = time.monotonic() + BUS_PATIENCE_MS / 1000
    unpublished = wiring.bus.publish(here, lambda: RESERVE_MS + (end_s - time.monotonic()) * 1000)
    if unpublished:
        logger().warning("decided, not published", extra={"decisions": len(unpublished)})
    _count(written, sum(item["decision"]["S"] != "approve" for item in here) - len(unpublished))
    return not unpublished


def _count(written: Written, published: int) -> None:
    decided = [item["decision"]["S"] for item in written.made]
    count("DecisionsMade", len(decided))
    count("DecisionsApproved", decided.count("approve"))
    count("DecisionsReviewed", decided.count("review"))
    count("DecisionsBlocked", decided.count("block"))
    count("DecisionsRepeated", len(written.stood))
    count("DecisionsPublished", published)
