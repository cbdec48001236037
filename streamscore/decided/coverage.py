"""Which exports to read for a stretch of time, and which to make for what none covers. Pure.

An incremental export holds the last image of every item written in [from, to); a full one every item there
was at its `to`. A decision is written soon after `scored_at`, so a stretch of decisions is covered by exports
of the same stretch and of SLACK_MS more.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

SLACK_MS = 300_000
"""A decision is in the table this long after it was made at the latest: an invocation lasts a minute."""
SHORTEST_MS, LONGEST_MS = 15 * 60_000, 24 * 3_600_000
"""DynamoDB makes incremental exports of no other lengths."""


class Export(NamedTuple):
    """A finished export: of what was written in [from_ms, to_ms), or with no `from_ms` of all at `to_ms`.
    `key` is that of its files' manifest.
    """

    id: str
    from_ms: int | None
    to_ms: int
    items: int
    key: str


class Stretch(NamedTuple):
    """From `from_ms` to before `to_ms`."""

    from_ms: int
    to_ms: int


def to_read(exports: Sequence[Export], since_ms: int) -> list[Export]:
    """The exports that can hold decisions since then, or labels that came to them, oldest first. Of full ones
    the newest; what it holds, nothing older need tell.
    """
    full = max((e for e in exports if e.from_ms is None), key=lambda e: e.to_ms, default=None)
    floor_ms = since_ms if full is None or not _needed(exports, full, since_ms) else full.to_ms
    later = [e for e in exports if e.from_ms is not None and e.to_ms > floor_ms]
    found = [*later, *([full] if full and floor_ms != since_ms else [])]
    return sorted(found, key=lambda e: (e.to_ms, e.from_ms is not None))


def gaps(exports: Sequence[Export], wanted: Stretch) -> list[Stretch]:
    """What of `wanted` no export covers, in order."""
    found, at_ms = [], wanted.from_ms
    covered = sorted((0 if e.from_ms is None else e.from_ms, e.to_ms) for e in exports)
    for from_ms, to_ms in covered:
        if at_ms < min(from_ms, wanted.to_ms):
            found.append(Stretch(at_ms, min(from_ms, wanted.to_ms)))
        at_ms = max(at_ms, to_ms)
    if at_ms < wanted.to_ms:
        found.append(Stretch(at_ms, wanted.to_ms))
    return found


def windows(gap: Stretch) -> Iterator[Stretch]:
    """Stretches that together cover the gap and can each be exported: whole seconds, neither too short nor
    too long. The last ends with the gap, rounded up to a second; what would be too short begins earlier.
    """
    end_ms = -(-gap.to_ms // 1000) * 1000
    start_ms = gap.from_ms // 1000 * 1000
    while start_ms < end_ms:
        to_ms = min(start_ms + LONGEST_MS, end_ms)
        yield Stretch(min(start_ms, to_ms - SHORTEST_MS), to_ms)
        start_ms = to_ms


def _needed(exports: Sequence[Export], full: Export, since_ms: int) -> bool:
    """Whether incremental exports alone leave out a part of what the full one tells."""
    incremental = [e for e in exports if e.from_ms is not None]
    return bool(gaps(incremental, Stretch(since_ms, full.to_ms)))
