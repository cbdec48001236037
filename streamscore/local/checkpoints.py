"""How far each shard of each mapping has come, on disk: one small file a shard, replaced whole."""

import json
from pathlib import Path
from typing import Any

from streamscore.local.delivery import Checkpoint, Window


class Checkpoints:
    """Checkpoints under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, mapping: str, shard_id: str) -> Checkpoint:
        """The last one saved, or the start."""
        path = self._path(mapping, shard_id)
        if not path.exists():
            return Checkpoint()
        saved = json.loads(path.read_text())
        window = saved["window"]
        return Checkpoint(
            saved["sequence"], Window(window["start_ms"], window["state"].encode()) if window else None
        )

    def save(self, mapping: str, shard_id: str, checkpoint: Checkpoint) -> None:
        """Replace what was saved; a crash leaves the old one or the new one."""
        window = checkpoint.window
        _replace(
            self._path(mapping, shard_id),
            {
                "sequence": checkpoint.sequence,
                "window": {"start_ms": window.start_ms, "state": window.state.decode()} if window else None,
            },
        )

    def began_ms(self, mapping: str, now_ms: int) -> int:
        """When the mapping was first polled: now, unless it was before. What LATEST counts from."""
        path = self._folder / f"{mapping}.began.json"
        if not path.exists():
            _replace(path, {"at_ms": now_ms})
        at_ms: int = json.loads(path.read_text())["at_ms"]
        return at_ms

    def _path(self, mapping: str, shard_id: str) -> Path:
        return self._folder / f"{mapping}-{shard_id}.json"


def _replace(path: Path, document: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(document))
    beside.replace(path)
