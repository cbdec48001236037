"""The protocol of Lambda's tumbling windows as data: an event in, a state and finished items out. Pure.

Every event carries the state the last reply gave and every reply must carry one, or the invocation has
failed. The last event of a window says so, may have no records, and is repeated until it succeeds. A window
whose state grows too large is ended early and begins again with the same start, so an item's key also has
the window's first sequence number: neither half overwrites the other, and writing an item again changes
nothing.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.sketch import Layout, Sketch, decode, encode, fits

MAX_STATE_BYTES = 900_000
"""Lambda ends a window whose state passes 1 MB; ours is written out before that."""

WINDOW_S = 300
_NO_SHARD = "unwindowed"


@dataclass(frozen=True)
class Window:
    """Which window an event belongs to, what was counted in it so far, and whether it ends here."""

    start: str
    shard: str
    first: str
    packed: Mapping[str, str]
    final: bool
    early: bool


@dataclass(frozen=True)
class Item:
    """One row of `monitor-windows`: what one model version's decisions were in one window of one shard."""

    model: str
    key: str
    sketch: Sketch


def read(event: Mapping[str, Any]) -> Window:
    """The window of a Lambda event. An event without one (a redriven batch) is a closed window of its own."""
    records: Sequence[Mapping[str, Any]] = event.get("Records") or ()
    state = event.get("state") or {}
    first = state.get("first") or (records[0]["dynamodb"]["SequenceNumber"] if records else "")
    if "window" not in event:
        return Window(_start_of(records), _NO_SHARD, first, {}, final=True, early=False)
    return Window(
        start=event["window"]["start"],
        shard=str(event.get("shardId", "")),
        first=first,
        packed=state.get("sketches", {}),
        final=bool(event.get("isFinalInvokeForWindow")),
        early=bool(event.get("isWindowTerminatedEarly")),
    )


def unpack(window: Window, layouts: Mapping[str, Layout]) -> dict[str, Sketch]:
    """The sketches in a window's state, by model version; one made on other bins is left out (see `fits`)."""
    stored = {model: base64.b64decode(text) for model, text in window.packed.items()}
    readable = {model: data for model, data in stored.items() if fits(layouts[model], data)}
    return {model: decode(layouts[model], data) for model, data in readable.items()}


def add(one: Mapping[str, Sketch], other: Mapping[str, Sketch]) -> dict[str, Sketch]:
    """Both, model by model."""
    both = dict(one)
    for model, sketch in other.items():
        both[model] = both[model] + sketch if model in both else sketch
    return both


def close(window: Window, sketches: Mapping[str, Sketch]) -> tuple[dict[str, Any], list[Item]]:
    """(state to reply with, items to write): items when the window ends, or would be too large to go on."""
    state = pack(window.first, sketches)
    if not window.final and size(state) <= MAX_STATE_BYTES:
        return state, []
    key = f"{window.start}#{window.shard}#{window.first}"
    return {}, [Item(model, key, sketch) for model, sketch in sorted(sketches.items())]


def pack(first: str, sketches: Mapping[str, Sketch]) -> dict[str, Any]:
    """The state: JSON data; empty before the first record."""
    if not first:
        return {}
    packed = {model: base64.b64encode(encode(sketch)).decode() for model, sketch in sorted(sketches.items())}
    return {"first": first, "sketches": packed}


def size(state: Mapping[str, Any]) -> int:
    """Bytes a state takes as JSON, to within a few a model."""
    return sum(len(model) + len(text) + 8 for model, text in state.get("sketches", {}).items()) + 100


def _start_of(records: Sequence[Mapping[str, Any]]) -> str:
    at = float(records[0]["dynamodb"]["ApproximateCreationDateTime"]) if records else 0.0
    start = datetime.fromtimestamp(at // WINDOW_S * WINDOW_S, tz=UTC)
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")
