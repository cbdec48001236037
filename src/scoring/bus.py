"""Tells the event bus of reviews and blocks: at least once, and always what the decisions table holds.

Source `streamscore`, detail type `DecisionReviewed` or `DecisionBlocked`; the detail is the decision as JSON
(`detail`, described in docs/bus-events.md). The id in it de-duplicates: a replay publishes the same decision
again, never another.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from common.aws import Backoff, RemainingMs, answer_of
from common.errors import ServiceError
from common.telemetry import logger, meter
from common.traceparent import xray_header
from common.tracing import aws_call
from scoring.items import Item
from scoring.plain import plain

ENTRIES_PER_CALL = 10
BYTES_PER_CALL = 240_000
"""The bus takes 256 KB in all, of which an entry's other parts are some hundred bytes."""
SOURCE = "streamscore"
DETAIL_TYPES = {"review": "DecisionReviewed", "block": "DecisionBlocked"}
"""What the bus hears of each outcome that is told there."""
_WITHHELD = frozenset({"features", "request", "ttl", "pk", "label", "label_time", "second_path_score"})


def is_told(item: Item) -> bool:
    """Whether a decision is one that the bus hears of."""
    return item["decision"]["S"] in DETAIL_TYPES


def detail(item: Item) -> dict[str, Any]:
    """What subscribers get: the decision without feature bytes, with its id; times in epoch ms.

    A decision too large for the bus lacks its largest members, which `cut` names.
    """
    told = {"id": item["pk"]["S"], **{n: plain(v) for n, v in item.items() if n not in _WITHHELD}}
    cut: list[str] = told.get("cut", [])
    while len(_encoded(told)) > BYTES_PER_CALL:
        largest = max(
            (name for name in told if name not in {"id", "cut"}), key=lambda n: len(_encoded(told[n]))
        )
        cut = [*cut, largest]
        told = {name: value for name, value in told.items() if name != largest} | {"cut": cut}
    return told


class Bus:
    """The event bus of a stack."""

    def __init__(self, events: Any, name: str, backoff: Backoff | None = None) -> None:
        self._events, self._name, self._backoff = events, name, backoff or Backoff()

    def publish(self, items: Sequence[Item], remaining_ms: RemainingMs) -> set[str]:
        """Publish those that are reviews or blocks; returns the ids that were not accepted in time."""
        todo = [_entry(self._name, item) for item in items if is_told(item)]
        for _ in self._backoff.tries(remaining_ms) if todo else ():
            todo = self._once(todo)
            if not todo:
                break
        return {id_ for id_, _ in todo}

    def tell(self, detail_type: str, told: Mapping[str, Any], at_s: float) -> bool:
        """Put one event that is no decision; whether the bus took it. What is not known (NaN) is null."""
        entry = {
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": _encoded(told).decode(),
            "EventBusName": self._name,
            "Time": at_s,
        }
        return self._put([entry]) == [False]

    def _once(self, entries: "Sequence[_Entry]") -> "list[_Entry]":
        """Put all; those that were not accepted. After a call without an answer no other is tried: where
        nobody listens, each would wait as long.
        """
        refused: list[_Entry] = []
        answered = True
        for call in _calls(entries):
            failed = self._put([entry for _, entry in call]) if answered else None
            answered = failed is not None
            refused += call if failed is None else [e for e, no in zip(call, failed, strict=True) if no]
        return refused

    def _put(self, entries: Sequence[dict[str, Any]]) -> list[bool] | None:
        """One call: which entries were refused; None if it was not answered, or refused as a whole."""
        with aws_call("EventBridge", "PutEvents") as calling:
            try:
                answer = answer_of(lambda: self._events.put_events(Entries=entries))
            except ServiceError as error:
                # Forbidden, or no such bus: a person has to mend it, and deciding goes on meanwhile.
                logger().error("the event bus refuses to be told", extra={"error": str(error)})
                return None
            calling.flag(throttle=answer is None)
        if answer is None:
            return None
        failed = ["ErrorCode" in entry for entry in answer["Entries"]]
        meter().eventbridge([len(e["Detail"]) for e, no in zip(entries, failed, strict=True) if not no])
        return failed


_Entry = tuple[str, dict[str, Any]]
"""A decision's id and what the bus is given."""


def _entry(bus: str, item: Item) -> _Entry:
    header = xray_header(item["trace"]["S"]) if "trace" in item else None
    return item["pk"]["S"], {
        "Source": SOURCE,
        "DetailType": DETAIL_TYPES[item["decision"]["S"]],
        "Detail": _encoded(detail(item)).decode(),
        "EventBusName": bus,
        "Time": int(item["scored_at"]["N"]) / 1000,
        **({"TraceHeader": header} if header else {}),  # what the bus invokes is in the producer's trace
    }


def _calls(entries: Sequence[_Entry]) -> Iterator[list[_Entry]]:
    """The entries in order, so many a call as it may hold."""
    call: list[_Entry] = []
    size = 0
    for entry in entries:
        own = len(entry[1]["Detail"].encode())
        if call and (len(call) == ENTRIES_PER_CALL or size + own > BYTES_PER_CALL):
            yield call
            call, size = [], 0
        call, size = [*call, entry], size + own
    if call:
        yield call


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
