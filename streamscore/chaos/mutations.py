"""The rules that a chaos run must miss: each broken on purpose in a copy, to see that the run fails."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from common.errors import InvalidInputError
from streamscore.chaos.world import Parts

PROJECT = Path(__file__).resolve().parents[2]
SEEDS = 10
"""Within so many a broken rule must show."""


@dataclass(frozen=True)
class Mutation:
    """What is broken, and how: texts of the project's files, each there once, and what takes their place."""

    name: str
    changes: tuple[tuple[str, str, str], ...]


MUTATIONS = (
    Mutation(
        "watermark: a replay is applied again",
        (("src/stream_features/verdict.py", "if order <= item.mark or (", "if ("),),
    ),
    Mutation(
        "event ids: a producer's duplicate counts twice",
        (
            (
                "src/stream_features/verdict.py",
                "return _find(item.ids, packed_id(record.id_hash), ID_BYTES) >= 0",
                "return False",
            ),
        ),
    ),
    Mutation(
        "conditional write: the last of two writers wins",
        (
            ("src/stream_features/store.py", "WHERE pk=? AND v=?'", "WHERE pk=? AND v<>?'"),
            ("src/stream_features/store.py", 'read_v = {"N": str(write.read_v)}', 'read_v = {"N": "-1"}'),
        ),
    ),
    Mutation(
        "outbox: only an item's first write takes its rows along",
        (
            (
                "src/stream_features/store.py",
                """out = 'SET "out"=?' if with_out else 'REMOVE "out"'""",
                """out = 'SET "lost"=?' if with_out else 'REMOVE "out"'""",
            ),
        ),
    ),
    Mutation(
        "checkpoint: what was read counts as done",
        (
            (
                "streamscore/local/shard.py",
                "Checkpoint(self._read if self.empty else self._done,",
                "Checkpoint(self._read,",
            ),
        ),
    ),
)


def broken(mutation: Mutation, folder: Path, parts: Parts) -> Parts:
    """The same world of code in which that rule is broken, copied to `folder`.

    Raises InvalidInputError when a text is not there exactly once: the code has changed, so change it here.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("src", "streamscore"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, old, new in mutation.changes:
        text = (folder / path).read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise InvalidInputError(f"{mutation.name}: {path} has {text.count(old)} times {old!r}, not once")
        (folder / path).write_text(text.replace(old, new), encoding="utf-8")
    return replace(parts, code=folder / "src", poller=folder)
