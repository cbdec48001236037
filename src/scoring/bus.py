"""Tells the event bus of reviews and blocks: at least once, and always what the decisions table holds.

Source `streamscore`, detail type `DecisionReviewed` or `DecisionBlocked`; the detail is the decision as JSON
(`detail`). The id in it de-duplicates: a replay publishes the same decision again, never another.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from common.aws import Backoff, RemainingMs, answer_of
from common.telemetry import meter
from common.traceparent import xray_header
from common.tracing import aws_call
from scoring.items import Item
from scoring.plain import plain

ENTRIES_PER_CALL = 10
SOURCE = "streamscore"
_DETAIL_TYPES = {"review": "DecisionReviewed", "block": "DecisionBlocked"}
_WITHHELD = frozenset({"features", "request", "ttl", "pk", "label", "label_time", "second_path_score"})


def detail(item: Item) -> dict[str, Any]:
    """What subscribers get: the decision without feature bytes, with its id; times in epoch ms."""
    return {"id": item["pk"]["S"], **{n: plain(v) for n, v in item.items() if n not in _WITHHELD}}


class Bus:
    """The event bus of a stack."""

    def __init__(self, events: Any, name: str, backoff: Backoff | None = None) -> None:
        self._events, self._name, self._backoff = events, name, backoff or Backoff()

    def publish(self, items: Sequence[Item], remaining_ms: RemainingMs) -> set[str]:
        """Publish those that are reviews or blocks; returns the ids that were not accepted in time."""
        todo = [item for item in items if item["decision"]["S"] in _DETAIL_TYPES]
        if todo:
            for _ in self._backoff.tries(remaining_ms):
                tens = [todo[n : n + ENTRIES_PER_CALL] for n in range(0, len(todo), ENTRIES_PER_CALL)]
                todo = [item for ten in tens for item in self._put(ten)]
                if not todo:
                    break
        return {item["pk"]["S"] for item in todo}

    def _put(self, items: Sequence[Item]) -> Sequence[Item]:
        """One call; those of `items` that it did not accept."""
        entries = [self._entry(item) for item in items]
        with aws_call("EventBridge", "PutEvents") as call:
            answer = answer_of(lambda: self._events.put_events(Entries=entries))
            call.flag(throttle=answer is None)
        if answer is None:
            return items
        failed = ["ErrorCode" in entry for entry in answer["Entries"]]
        meter().eventbridge([len(e["Detail"]) for e, no in zip(entries, failed, strict=True) if not no])
        return [item for item, no in zip(items, failed, strict=True) if no]

    def _entry(self, item: Item) -> dict[str, Any]:
        header = xray_header(item["trace"]["S"]) if "trace" in item else None
        return {
            "Source": SOURCE,
            "DetailType": _DETAIL_TYPES[item["decision"]["S"]],
            "Detail": msgspec.json.encode(detail(item), order="sorted").decode(),
            "EventBusName": self._name,
            "Time": int(item["scored_at"]["N"]) / 1000,
            **({"TraceHeader": header} if header else {}),  # what the bus invokes is in the producer's trace
        }
