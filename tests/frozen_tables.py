"""Items of the three tables with everything that a version may write into them, and what code makes of them.

State comes from the real protocol: an entity of one shard, one that so many shards write that it is split,
repeats, labels and a correction. What is read is what a deployment does next: what is delivered again is
known, and the next event gets the same features.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from monitor import handler
from monitor.baseline import layout_of
from monitor.store import Store
from monitor.times import iso
from scoring.items import Challenged, Decision, Label, stub_item
from scoring.policy import Verdict
from scoring.reasons import Reason
from stream_features.sharing import SHARING
from stream_features.spec import Spec
from stream_features.state import Row, Stored, is_split
from streamscore.decided.stored import Decided, decided_of
from tests import monitored
from tests.aws_in_dicts import Aws
from tests.decision_images import batch, change
from tests.served_in_memory import NOW_MS, Memory

HOUR_MS = 3_600_000
SHARDS = SHARING.live_shards + 2
"""Enough for a shared entity to be split."""
WINDOW_S = 1_795_536_000
SHARES = range(0, 100, 20)


def freeze(folder: Path, spec: Spec) -> None:
    """Write what the tables hold after all of it."""
    memory = Memory(spec)
    for n in range(3 * SHARDS):
        memory.deliver([_event(n)], shard=n % SHARDS)
        if n % 5 == 4:
            memory.deliver([_label(n, fraud=True)], shard=n % SHARDS)
    memory.deliver([_event(1)], shard=2)  # a producer's repeat, by another shard
    memory.deliver([_label(4, fraud=False, late_ms=1)], shard=4)
    items = {key: [item.v, _text(item.w), _text(item.s)] for key, item in memory.table.items.items()}
    assert any(map(is_split, memory.table.items.values()))
    _write(folder / "state-table.json", {"delivered": memory.delivered, "items": items})
    _write(folder / "decisions-table.json", [_plain(item) for item in _decision_items()])
    _write(folder / "monitor-table.json", _monitor_table())


def read(folder: Path, spec: Spec) -> dict[str, Any]:
    """What this code makes of them."""
    return {
        "tables": {"state": _next(folder, spec), "decisions": _decisions(folder), "windows": _windows(folder)}
    }


def _event(n: int, at_ms: int | None = None) -> dict[str, Any]:
    at_ms = NOW_MS - (200 - n) * HOUR_MS if at_ms is None else at_ms
    card = f"c{n % SHARDS}"  # a card's records come by one shard, the terminal's by all
    return {
        "id": f"e{n}",
        "at": at_ms,
        "card": card,
        "terminal": "t1",
        "amount": n + 0.25,
        "shop": f"s{n % 7}",
    }


def _label(n: int, *, fraud: bool, late_ms: int = 0) -> dict[str, Any]:
    event = _event(n)
    known = {"fraud": fraud, "label_time": event["at"] + HOUR_MS + late_ms}
    return {"type": "label", **{name: event[name] for name in ("id", "at", "card", "terminal")}, **known}


def _next(folder: Path, spec: Spec) -> list[list[Any]]:
    """What is handed to scoring when an event comes again by another shard, a label again, and one anew."""
    kept = json.loads((folder / "state-table.json").read_text(encoding="utf-8"))
    memory = Memory(spec, delivered=kept["delivered"])
    for key, (v, w, s) in kept["items"].items():
        memory.table.items[key] = Stored(v, base64.b64decode(w), base64.b64decode(s))
    last = 3 * SHARDS - 1
    memory.deliver([_event(last + 1, NOW_MS)], shard=(last + 1) % SHARDS)
    memory.decided["e9"] = memory.decided[f"e{last + 1}"]
    memory.deliver([_event(last)], shard=1)
    memory.deliver([_label(9, fraud=True)], shard=9)
    return [[row.id, row.vector.hex() if isinstance(row, Row) else row.label] for row in memory.table.rows]


def _decision_items() -> Iterator[Mapping[str, Any]]:
    """One with everything, one without a model, one whose label came first."""
    reasons = (
        Reason("amount", 99.5, 20.0, 1.25, "amount 99.5, usually 20"),
        Reason("card_since_last", None, None, 0.5),
    )
    whole = Decision(
        id="e1",
        entity="c1",
        event_time_ms=NOW_MS,
        arrival_ms=NOW_MS + 100,
        scored_at_ms=NOW_MS + 350,
        score=0.912345,
        verdict=Verdict("block", ("shadow:new", "too-much"), 0.98),
        reasons=reasons,
        absent="",
        model="a" * 16,
        policy="b" * 16,
        spec_sha="c" * 64,
        features=np.array([99.5, np.nan], "<f4").tobytes(),
        kept={"amount": {"N": "99.50"}, "shop": {"S": "s1"}},
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        source="stream",
        entities={"terminal": "t1"},
        challenger=Challenged("d" * 16, 0.25, "approve"),
    )
    yield Decided(whole, True, NOW_MS + HOUR_MS, 0.912344, ("kept",)).item()
    bare = whole._replace(id="e2", score=None, verdict=Verdict("review", ()), reasons=(), absent="no_model")
    yield Decided(bare._replace(model=None, challenger=None, trace=None, source="api")).item()
    yield stub_item(Label("e3", "c1", NOW_MS, False, NOW_MS + HOUR_MS, NOW_MS + HOUR_MS))


def _decisions(folder: Path) -> list[Any]:
    items = json.loads((folder / "decisions-table.json").read_text(encoding="utf-8"))
    decided = [decided_of(item) for item in items if "scored_at" in item]
    return [json.loads(json.dumps(one, default=_text)) for one in decided]


def _monitor_table() -> dict[str, Any]:
    """The items of two windows, and what lies in the bucket and the parameters for them to be read."""
    aws = Aws()
    version, pointer = monitored.publish(aws, "b")
    aws.parameters["/stack/champion"] = pointer
    for start_s in (WINDOW_S, WINDOW_S + 300):
        images = monitored.images(version, np.array(SHARES, np.float64), label=True, scored_at_s=start_s + 60)
        records = [change(image, sequence=start_s) for image in images]
        store = _store(aws)
        state = handler.count_batch(batch(records, start=iso(start_s)), store, 0.0)["state"]
        handler.count_batch(batch([], state, start=iso(start_s), final=True), store, 0.0)
    objects = {key: body.decode() for key, body in aws.objects.items()}
    items = [_plain(item) for item in aws.items.values()]
    return {"version": version, "parameters": aws.parameters, "objects": objects, "items": items}


def _windows(folder: Path) -> list[Any]:
    kept, aws = json.loads((folder / "monitor-table.json").read_text(encoding="utf-8")), Aws()
    aws.parameters = kept["parameters"]
    aws.objects = {key: text.encode() for key, text in kept["objects"].items()}
    for item in map(_as_read, kept["items"]):
        aws.put_item(Item=item)
    store = _store(aws)
    assert store.pointed().champion == kept["version"]
    bundle = store.bundle(kept["version"])
    assert bundle is not None
    assert store.spec(bundle) == monitored.SPEC
    found = store.windows(kept["version"], iso(WINDOW_S), iso(WINDOW_S + 600), layout_of(bundle))
    return [
        [one.start, one.tally.decisions, one.tally.labelled, one.tally.decided.counts.tolist()]
        for one in found
    ]


def _store(aws: Aws) -> Store:
    return Store("t", "b", "/stack", (aws, aws, aws))


def _plain(node: Any) -> Any:
    """An item as JSON: bytes in base64, as a stream has them."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(one) for one in node]
    return _text(node) if isinstance(node, bytes) else node


def _as_read(node: Any) -> Any:
    """The same as a read of the table has it."""
    if isinstance(node, list):
        return [_as_read(one) for one in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"B"}:
        return {"B": base64.b64decode(node["B"])}
    return {key: _as_read(value) for key, value in node.items()}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
