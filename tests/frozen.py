"""What a version of this code wrote, kept as files, and what the code of today reads in it.

    PYTHONPATH=.:src .venv/bin/python -m tests.frozen 0.2.0      before that version is released

makes tests/formats/0.2.0. A deployment meets rows, states, decisions, windows, bundles of the version before
it: tests/unit/test_formats.py reads each folder.
"""

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monitor import baseline, windows
from monitor.images import news
from scoring import bundle as bundles
from scoring import pointers
from stream_features import spec as specs
from stream_features.events import decoder
from stream_features.kernel import Columns, Group, fold
from stream_features.state import Item, Stored, decode_item, decode_out, encode_item
from streamscore.decided.stored import decided_of
from tests import frozen_tables, small_model

FORMATS = Path(__file__).with_name("formats")
EVENTS = Path(__file__).parents[1] / "events"
SAMPLES = ("scoring-state-stream.json", "monitor-window.json", "monitor-window-final.json")
NOW_MS = 1_764_000_000_000
HOUR_MS = 3_600_000
SHARD, MARK = 7, (49590338271490256608559692538361571095921575989136588898, 3)
SPEC = (
    small_model.SPEC
    + """
[[feature]]
name = "card_std_7d"
entity = "card"
op = "std"
of = "amount"
windows = ["7d"]
[[feature]]
name = "card_shops_7d"
entity = "card"
op = "distinct"
of = "shop"
windows = ["7d"]
[[feature]]
name = "card_since_last"
entity = "card"
op = "since_last"
[[feature]]
name = "card_ewma"
entity = "card"
op = "ewma"
of = "amount"
half_life = "2d"
[[feature]]
name = "terminal_risk_30d"
entity = "terminal"
op = "label_rate"
windows = ["30d"]
delay = "7d"
"""
)


def history() -> Iterator[dict[str, Any]]:
    """Enough for a head that is full, tiles of every size, and labels."""
    for n in range(400):
        at = NOW_MS - (401 - n) * 2 * HOUR_MS
        event = {"id": f"e{n}", "at": at, "card": "c1", "terminal": "t1"}
        yield event | {"amount": n % 97 + 0.25, "shop": f"shop {n % 11}"}
        if n % 10 == 9:
            yield event | {"type": "label", "fraud": n % 20 == 9, "label_time": at + 1000}


def freeze(folder: Path) -> None:
    """Write what this code writes, and what it reads in it."""
    folder.mkdir(parents=True)
    (folder / "features.toml").write_text(SPEC, encoding="utf-8")
    for name in SAMPLES:
        (folder / name).write_bytes((EVENTS / name).read_bytes())
    spec = specs.parse(SPEC)
    states = _folded(spec, list(history()), [b"", b""])[1]
    written = [
        encode_item(Item(v=5, mark=MARK, arrival_ms=NOW_MS, ids=b"8 bytes.", blob=blob), SHARD, NOW_MS)
        for blob in states
    ]
    kept = [[base64.b64encode(part).decode() for part in both] for both in written]
    (folder / "states.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    frozen_tables.freeze(folder, spec)
    (folder / "bundle.json").write_bytes(bundles.encode(small_model.trained().bundle))
    before = pointers.Version("1" * 16, "2" * 64)
    pointer = pointers.Pointer(
        "a" * 16, "b" * 64, before, "2026-11-28T19:00:00Z", "why", (before,), back=True
    )
    (folder / "pointer.json").write_text(pointers.encode(pointer) + "\n", encoding="utf-8")
    (folder / "read.json").write_text(json.dumps(read(folder), indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """What this code makes of a version's files."""
    return {
        "rows": [
            [
                row.id,
                row.time_ms,
                row.arrival_ms,
                row.trace,
                list(row.entities),
                list(row.kept),
                row.vector.hex(),
            ]
            for out in _outs(folder)
            for row in out.rows
        ],
        "labels": [
            [label.id, label.label, label.label_time_ms] for out in _outs(folder) for label in out.labels
        ],
        **_states(folder),
        **_decisions(folder),
        **_published(folder),
        **frozen_tables.read(folder, specs.parse((folder / "features.toml").read_text(encoding="utf-8"))),
    }


def _outs(folder: Path) -> list[Any]:
    images = [record["dynamodb"]["NewImage"] for record in _json(folder, SAMPLES[0])["Records"]]
    return [decode_out(base64.b64decode(image["out"]["B"])) for image in images]


def _states(folder: Path) -> dict[str, Any]:
    """Its items, and the features of the event that comes next: the state has not lost a bit."""
    spec = specs.parse((folder / "features.toml").read_text(encoding="utf-8"))
    stored = [Stored(5, *map(base64.b64decode, both)) for both in _json(folder, "states.json")]
    items = [decode_item(one, SHARD) for one in stored]
    event = {"id": "next", "at": NOW_MS, "card": "c1", "terminal": "t1", "amount": 12.5, "shop": "shop 12"}
    vector, _ = _folded(spec, [event], [item.blob for item in items])
    return {
        "marks": [[str(item.mark[0]), item.mark[1], item.arrival_ms, item.ids.decode()] for item in items],
        "next": dict(zip([f.name for f in spec.features], map(repr, vector.tolist()), strict=True)),
    }


def _folded(spec: specs.Spec, records: list[dict[str, Any]], blobs: list[bytes]) -> tuple[Any, list[bytes]]:
    """The last event's features, and the states after all."""
    decode = decoder(spec)
    decoded = [decode.decode(json.dumps(record).encode(), NOW_MS) for record in records]
    groups = [Group(np.zeros(len(decoded), np.int32), [blob], np.ones(len(decoded), bool)) for blob in blobs]
    folded = fold(spec, Columns.from_records(spec, decoded), groups)
    return folded.features[-1], [blob for (blob,) in folded.blobs]


def _decisions(folder: Path) -> dict[str, Any]:
    batch = _json(folder, SAMPLES[1])["Records"]
    decided = [
        decided_of(r["dynamodb"]["NewImage"]) for r in batch if "scored_at" in r["dynamodb"]["NewImage"]
    ]
    found, last = news(batch), windows.read(_json(folder, SAMPLES[2]))
    tallies = windows.unpack(last, {"sample-model": baseline.Model().layout})
    return {
        "decided": [
            [one.id, one.action, one.decision.score, one.decision.features.hex(), one.label]
            for one in decided
        ],
        "news": [len(found.decided), len(found.labelled), len(found.unlabelled)],
        "window": [[tally.decisions, tally.labelled] for tally in tallies.values()],
    }


def _published(folder: Path) -> dict[str, Any]:
    bundle = bundles.decode((folder / "bundle.json").read_bytes())
    pointer = pointers.decode((folder / "pointer.json").read_text(encoding="utf-8"))
    return {
        "bundle": [bundle.version, [feature.name for feature in bundle.features]],
        "pointer": [pointer.version, pointer.previous and pointer.previous.version, pointer.back],
    }


def _json(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


if __name__ == "__main__":
    freeze(FORMATS / sys.argv[1])
