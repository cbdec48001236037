"""Tells the event bus of reviews and blocks: at least once, and always what the decisions table holds.

Source `streamscore`, detail type `DecisionReviewed` or `DecisionBlocked`; the detail is the decision as JSON
(`detail`). The id in it de-duplicates: a replay publishes the same decision again, never another.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from botocore.exceptions import ClientError, HTTPClientError

from common.dynamodb import RESERVE_MS, RemainingMs
from common.telemetry import meter
from scoring.decisions import Item
from scoring.plain import plain

ENTRIES_PER_CALL = 10
SOURCE = "streamscore"
_DETAIL_TYPES = {"review": "DecisionReviewed", "block": "DecisionBlocked"}
_WITHHELD = frozenset({"features", "ttl", "pk", "label", "label_time", "second_path_score"})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


def detail(item: Item) -> dict[str, Any]:
    """What subscribers get: the decision without feature bytes, with its id; times in epoch ms."""
    return {"id": item["pk"]["S"], **{n: plain(v) for n, v in item.items() if n not in _WITHHELD}}


class Bus:
    """The event bus of a stack."""

    def __init__(self, events: Any, name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._events, self._name, self._sleep = events, name, sleep

    def publish(self, items: Sequence[Item], remaining_ms: RemainingMs) -> set[str]:
        """Publish those that are reviews or blocks, 10 a call; returns the ids that were not accepted in
        time.
        """
        todo = [item for item in items if item["decision"]["S"] in _DETAIL_TYPES]
        for pause_s in _pauses(remaining_ms):
            todo = [
                item
                for start in range(0, len(todo), ENTRIES_PER_CALL)
                for item in self._put(todo[start : start + ENTRIES_PER_CALL])
            ]
            if not todo:
                break
            self._sleep(pause_s)
        return {item["pk"]["S"] for item in todo}

    def _put(self, items: Sequence[Item]) -> Sequence[Item]:
        """One call; those of `items` that it did not accept."""
        entries = [self._entry(item) for item in items]
        meter().eventbridge([len(entry["Detail"]) for entry in entries])
        try:
            answer = self._events.put_events(Entries=entries)
        except (HTTPClientError, ClientError):
            return items
        if not answer.get("FailedEntryCount"):
            return ()
        return [item for item, entry in zip(items, answer["Entries"], strict=True) if "ErrorCode" in entry]

    def _entry(self, item: Item) -> dict[str, Any]:
        return {
            "Source": SOURCE,
            "DetailType": _DETAIL_TYPES[item["decision"]["S"]],
            "Detail": msgspec.json.encode(detail(item)).decode(),
            "EventBusName": self._name,
            "Time": datetime.fromtimestamp(int(item["scored_at"]["N"]) / 1000, UTC),
        }


def _pauses(remaining_ms: RemainingMs) -> Iterator[float]:
    """Full-jitter pauses, doubling, while there is time for another try; at least one try."""
    longest_s = _FIRST_PAUSE_S
    while True:
        yield longest_s * random.random()  # noqa: S311 - spreads retries, guards nothing
        if remaining_ms() <= RESERVE_MS:
            return
        longest_s = min(longest_s * 2, _LONGEST_PAUSE_S)
