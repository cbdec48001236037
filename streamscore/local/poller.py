"""All mappings of a stack: a lane for each shard, parents before children; start, stop, drain."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common.errors import TransientError
from streamscore.local.bell import Bell
from streamscore.local.checkpoints import Checkpoints
from streamscore.local.gate import Gate
from streamscore.local.lane import Lane, Platform
from streamscore.local.mapping import Mapping
from streamscore.local.pace import PACES, Pace
from streamscore.local.streams import ShardId

log = logging.getLogger(__name__)

_LOOK_S = 0.01
_AFTER_ERROR_S = 0.25


class DrainTimeoutError(TransientError):
    """Streams still held work when the time was over."""


class Poller:
    """Feeds functions from streams. Made stopped; `start` lets it poll, disabled mappings never."""

    def __init__(
        self,
        mappings: Sequence[Mapping],
        platform: Platform,
        checkpoint_dir: Path,
        bell: Bell | None = None,
        pace: Pace = PACES["local"],
    ) -> None:
        self._mappings, self._platform, self._pace = mappings, platform, pace
        self._checkpoints = Checkpoints(checkpoint_dir)
        self._gate = Gate(told=bell is not None)
        if bell:
            bell.on_ring = self._gate.ring
        self._lanes: list[Lane] = []
        self._changing = threading.Lock()

    def start(self) -> None:
        """Poll; the first time, find the shards."""
        self._add_lanes()
        self._gate.polling = True
        self._gate.ring()

    def pause(self) -> None:
        """Start no further invocation; those that run end and keep their checkpoint."""
        self._gate.polling = False
        self._gate.ring()

    def close(self) -> None:
        """Pause and end the threads. A function that still runs is not waited for longer than a moment."""
        self._gate.stopping = True
        self.pause()
        for lane in self._lanes:
            lane.join(timeout=1.0)

    def drain(self, timeout_s: float) -> None:
        """Return when every mapping has worked off all there was, open windows included.

        Raises DrainTimeoutError; does nothing when it does not poll.
        """
        if not self._gate.polling:
            return
        deadline = time.monotonic() + timeout_s
        self._wait_until_idle(deadline)
        self._gate.flushing = True
        self._gate.ring()
        try:
            self._wait_until_idle(deadline)
        finally:
            self._gate.flushing = False

    def stats(self) -> dict[str, Any]:
        """What each mapping has done and how far it is behind, summed over its shards."""
        return {
            mapping.name: {
                "function": mapping.function_name,
                "polling": self._gate.polling and mapping.enabled,
                "shards": [
                    {"shard": lane.shard_id, **asdict(lane.stats)}
                    for lane in self._lanes
                    if lane.mapping == mapping
                ],
            }
            for mapping in self._mappings
        }

    def _wait_until_idle(self, deadline: float) -> None:
        since = time.monotonic()
        self._gate.ring()
        while not self._idle(since):
            if time.monotonic() > deadline:
                busy = [lane.name for lane in self._lanes if not lane.quiet_after(since)]
                errors = {lane.name: lane.stats.last_error for lane in self._lanes if lane.stats.last_error}
                raise DrainTimeoutError(f"streams still hold work: {busy}; last errors: {errors or 'none'}")
            time.sleep(_LOOK_S)

    def _idle(self, since: float) -> bool:
        """Whether every lane has looked and found nothing since then and since any of them last worked."""
        worked_at = max((since, *(lane.stats.active_at for lane in self._lanes)))
        windows = self._gate.flushing and any(lane.stats.open_window for lane in self._lanes)
        if windows or not all(lane.quiet_after(worked_at) for lane in self._lanes):
            return False
        before = len(self._lanes)
        self._add_lanes()  # children of a shard that has just ended
        return len(self._lanes) == before

    def _add_lanes(self) -> None:
        """A lane for each shard that has none and whose parents are at their end."""
        with self._changing:
            for mapping in (mapping for mapping in self._mappings if mapping.enabled):
                mine = {lane.shard_id: lane for lane in self._lanes if lane.mapping == mapping}
                if mine and not any(lane.stats.ended for lane in mine.values()):
                    continue
                stream = self._platform.open_stream(mapping.source_arn)
                ended = {shard_id for shard_id, lane in mine.items() if lane.done}
                for shard_id in ready_shards(stream.shards(), set(mine), ended):
                    self._start_lane(mapping, shard_id)
                stream.close()

    def _start_lane(self, mapping: Mapping, shard_id: str) -> None:
        lane = Lane(
            mapping,
            shard_id,
            self._platform,
            self._checkpoints,
            self._gate,
            on_shard_end=self._go_on_with_children,
            pace=self._pace,
        )
        self._lanes.append(lane)
        lane.start()

    def _go_on_with_children(self) -> None:
        """A shard has ended: its children's turn, in its lane's thread."""
        while not self._gate.stopping:
            try:
                self._add_lanes()
                return
            except TransientError as error:
                log.warning("looking for the children of an ended shard: %s", error)
                time.sleep(_AFTER_ERROR_S)


def ready_shards(listed: Sequence[ShardId], started: set[str], ended: set[str]) -> list[str]:
    """Shards not started whose parents are read to their end; a parent no longer listed has expired."""
    known = {shard.id for shard in listed}
    return [
        shard.id
        for shard in listed
        if shard.id not in started and all(parent in ended or parent not in known for parent in shard.parents)
    ]
