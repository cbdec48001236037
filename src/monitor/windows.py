"""The protocol of Lambda's tumbling windows as data: an event in, a state and finished items out. Pure.

Every event carries the state the last reply gave and every reply must carry one, or the invocation has
failed. The last event of a window says so, may have no records, and is repeated until it succeeds. A window
whose state grows too large is ended early and begins again with the same start, so an item's key also has
the window's first sequence number: neither half overwrites the other, and writing an item again changes
nothing.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.decided import Layout
from monitor.labelled import LABELS
from monitor.sketch import decode, encode, fits
from monitor.tally import Tallies, Tally, Who

MAX_STATE_BYTES = 900_000
"""Lambda ends a window whose state passes 1 MB; ours is written out before that."""

WINDOW_S = 300
_NO_SHARD = "unwindowed"
CHALLENGER = "#challenger"
"""Ends the key of what a model scored beside another: a version can do both in one window."""


@dataclass(frozen=True)
class Window:
    """Which window an event belongs to, what was counted in it so far, and whether it ends here."""

    start: str
    shard: str
    first: str
    packed: Sequence[Mapping[str, Any]]
    final: bool
    early: bool

    @property
    def models(self) -> set[str]:
        """The model versions in its state."""
        return {entry["model"] for entry in self.packed}


@dataclass(frozen=True)
class Item:
    """One row of `monitor-windows`: what one model version's decisions were in one window of one shard."""

    who: Who
    key: str
    tally: Tally


def read(event: Mapping[str, Any]) -> Window:
    """The window of a Lambda event. An event without one (a redriven batch) is a closed window of its own."""
    records: Sequence[Mapping[str, Any]] = event.get("Records") or ()
    state = event.get("state") or {}
    first = state.get("first") or (records[0]["dynamodb"]["SequenceNumber"] if records else "")
    if "window" not in event:
        return Window(_start_of(records), _NO_SHARD, first, (), final=True, early=False)
    return Window(
        start=event["window"]["start"],
        shard=str(event.get("shardId", "")),
        first=first,
        packed=state.get("tallies", ()),
        final=bool(event.get("isFinalInvokeForWindow")),
        early=bool(event.get("isWindowTerminatedEarly")),
    )


def unpack(window: Window, layouts: Mapping[str, Layout]) -> dict[Who, Tally]:
    """The tallies in a window's state; one made on other bins is left out (see `fits`)."""
    found: dict[Who, Tally] = {}
    for entry in window.packed:
        layout, decided = layouts[entry["model"]], _bytes(entry["decided"])
        labels = {day: _bytes(text) for day, text in entry["labels"].items()}
        if fits(layout, decided) and all(fits(LABELS, data) for data in labels.values()):
            by_day = {day: decode(LABELS, data) for day, data in labels.items()}
            found[Who(entry["model"], entry["challenger"])] = Tally(decode(layout, decided), by_day)
    return found


def close(window: Window, tallies: Tallies) -> tuple[dict[str, Any], list[Item]]:
    """(state to reply with, items to write): items when the window ends, or would be too large to go on."""
    state = pack(window.first, tallies)
    if not window.final and size(state) <= MAX_STATE_BYTES:
        return state, []
    key = f"{window.start}#{window.shard}#{window.first}"
    return {}, [Item(who, key + (CHALLENGER if who.challenger else ""), tally)
                for who, tally in sorted(tallies.items())]  # fmt: skip


def pack(first: str, tallies: Tallies) -> dict[str, Any]:
    """The state: JSON data; empty before the first record."""
    if not first:
        return {}
    packed = [
        {
            "model": who.model,
            "challenger": who.challenger,
            "decided": _text(encode(tally.decided)),
            "labels": {day: _text(encode(labels)) for day, labels in sorted(tally.labels.items())},
        }
        for who, tally in sorted(tallies.items())
    ]
    return {"first": first, "tallies": packed}


def size(state: Mapping[str, Any]) -> int:
    """Bytes a state takes as JSON."""
    return len(json.dumps(state))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _start_of(records: Sequence[Mapping[str, Any]]) -> str:
    at = float(records[0]["dynamodb"]["ApproximateCreationDateTime"]) if records else 0.0
    start = datetime.fromtimestamp(at // WINDOW_S * WINDOW_S, tz=UTC)
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")
