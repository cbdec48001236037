"""One shard of one mapping in a thread: reads, asks the state machine, invokes, keeps the checkpoint."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from streamscore.local.bell import stream_name
from streamscore.local.checkpoints import Checkpoints
from streamscore.local.delivery import Checkpoint, Deliver, Failed, GiveUp, Record, Wait
from streamscore.local.events import event_bytes, failure_key, failure_record
from streamscore.local.filters import compile_filters
from streamscore.local.function_process import Outcome
from streamscore.local.mapping import Mapping
from streamscore.local.replies import read_reply
from streamscore.local.runtime_host import PayloadTooLargeError
from streamscore.local.shard import Shard
from streamscore.local.streams import Stream
from streamscore.local.wire import WireError

log = logging.getLogger(__name__)

IDLE_FIRST_S, IDLE_LAST_S = 0.004, 0.05
"""How long a lane sleeps that has found nothing, and has nobody to wake it: first, and at last."""
IDLE_WITH_BELL_S = 0.1
_AFTER_ERROR_S = 0.25
_ALL = ""


class Gate:
    """What all lanes look at: whether to poll, flush or end; and a bell to wake them.

    `told`: somebody rings when records come on a stream (bell.py), so lanes need not look for themselves.
    """

    def __init__(self, told: bool = False) -> None:
        self.polling = False
        self.flushing = False
        self.stopping = False
        self.told = told
        self._rings: dict[str, int] = {}
        self._bell = threading.Condition()

    def ring(self, stream: str = _ALL) -> None:
        """Wake the lanes of a stream (see `stream_name`), or every lane."""
        with self._bell:
            self._rings[stream] = self._rings.get(stream, 0) + 1
            self._bell.notify_all()

    def worked(self) -> None:
        """A function ran and may have written to another stream; without a bell only looking can tell."""
        if not self.told:
            self.ring()

    def rings(self, stream: str) -> int:
        """How often it has rung for a stream; take this before you look at what the bell announces."""
        return self._rings.get(stream, 0) + self._rings.get(_ALL, 0)

    def wait(self, stream: str, heard: int, timeout_s: float) -> None:
        """Sleep until it has rung more than `heard` times for the stream, or until the time is over."""
        with self._bell:
            self._bell.wait_for(lambda: self.rings(stream) > heard, timeout_s)


@dataclass
class LaneStats:
    """What a lane has done so far. Times of `time.monotonic`."""

    records: int = 0
    filtered: int = 0
    invocations: int = 0
    failures: int = 0
    given_up: int = 0
    iterator_age_ms: int = 0
    iterator_age_max_ms: int = 0
    last_error: str | None = None
    active_at: float = field(default_factory=time.monotonic)
    quiet_at: float = 0.0  # start of the last read that found nothing, with nothing left to do
    ended: bool = False
    open_window: bool = False


class Platform(Protocol):
    """What a lane needs of the world."""

    def open_stream(self, arn: str) -> Stream:
        """A connection of the caller's own."""

    def invoke(self, function_name: str, payload: bytes) -> Outcome:
        """Run a function."""

    def store_failure(self, bucket: str, key: str, body: bytes) -> None:
        """Keep a failure record; raises when it is not kept."""


class Lane(threading.Thread):
    """Feeds one function from one shard, in order, until the gate says stop or the shard has ended."""

    def __init__(
        self, mapping: Mapping, shard_id: str, platform: Platform, checkpoints: Checkpoints, gate: Gate
    ) -> None:
        super().__init__(name=f"{mapping.name}-{shard_id}", daemon=True)
        self.mapping, self.shard_id = mapping, shard_id
        self.stats = LaneStats()
        self._platform, self._checkpoints, self._gate = platform, checkpoints, gate
        self._wanted = compile_filters(list(mapping.patterns))
        self._saved: Checkpoint = checkpoints.load(mapping.name, shard_id)
        self._shard = Shard(mapping.rules, self._saved)
        self.stats.open_window = self._shard.has_open_window
        self._read_through = self._saved.sequence
        self._iterator: str | None = None
        self._stream_name = stream_name(mapping.source_arn)
        self._idle_s = (IDLE_WITH_BELL_S,) * 2 if gate.told else (IDLE_FIRST_S, IDLE_LAST_S)
        self._at_tip = False
        self._encode: Callable[[object], bytes] = msgspec.json.Encoder().encode

    def run(self) -> None:
        """Poll until told to stop; a failed call is logged and tried again."""
        stream = self._platform.open_stream(self.mapping.source_arn)
        first_s, last_s = self._idle_s
        idle_s = first_s
        while not self._gate.stopping and not (self.stats.ended and self._shard.empty):
            heard = self._gate.rings(self._stream_name)
            try:
                worked, wait_s = self._step(stream) if self._gate.polling else (False, last_s)
                idle_s = first_s if worked else min(idle_s * 1.5, last_s)
            except Exception as error:  # the thread's outermost edge: a lane that died would stall silently
                worked, wait_s, idle_s = False, _AFTER_ERROR_S, _AFTER_ERROR_S
                self._failed(error)
            if not worked:
                self._gate.wait(self._stream_name, heard, min(idle_s, wait_s))
        stream.close()

    def quiet_after(self, at: float) -> bool:
        """Whether a read begun after `at` found nothing, with nothing left to do, or the shard has ended."""
        return self.stats.quiet_at > at or not self.is_alive()

    def _step(self, stream: Stream) -> tuple[bool, float]:
        """Act or read once; returns whether something happened, and else how long to sleep at most."""
        action = self._shard.next(_now_ms(), at_tip=self._at_tip, flush=self._gate.flushing)
        match action:
            case Deliver():
                self._deliver(action)
            case GiveUp():
                self._give_up(action)
            case Wait(until_ms=until_ms):
                if self._shard.room and not self.stats.ended and self._read(stream):
                    return True, 0.0
                return False, _seconds_until(until_ms)
        self._save()
        self.stats.open_window = self._shard.has_open_window
        self.stats.active_at = time.monotonic()
        self._gate.worked()
        return True, 0.0

    def _read(self, stream: Stream) -> bool:
        """Read once; returns whether there was anything."""
        started = time.monotonic()
        if self._iterator is None:
            self._iterator = stream.iterator(self.shard_id, self._read_through)
        iterator, self._iterator = self._iterator, None  # an error must not reuse it
        read = stream.read(self.shard_id, iterator)
        self._iterator = read.iterator
        self.stats.ended = read.iterator is None
        self._at_tip = not read.records and read.at_tip
        if read.records:
            self._take(read.records)
            self.stats.active_at = time.monotonic()
        elif self._at_tip and self._shard.empty:
            self.stats.quiet_at = started
        return bool(read.records)

    def _take(self, documents: list[tuple[str, int, dict[str, object]]]) -> None:
        wanted = self._wanted
        records = [
            Record(sequence, arrival_ms, self._encode(document))
            for sequence, arrival_ms, document in documents
            if wanted is None or wanted(document)
        ]
        self._read_through = documents[-1][0]
        self._shard.offer(records, self._read_through, _now_ms())
        self.stats.filtered += len(documents) - len(records)
        self._save()

    def _deliver(self, delivery: Deliver) -> None:
        payload = event_bytes(self.mapping, self.shard_id, delivery)
        outcome = self._invoke(payload)
        reply = read_reply(self.mapping.rules, delivery, outcome)
        now_ms, stats = _now_ms(), self.stats
        self._shard.settle(reply, now_ms)
        stats.invocations += 1
        stats.failures += isinstance(reply, Failed)
        stats.records += len(delivery.records)
        if delivery.records:
            stats.iterator_age_ms = now_ms - delivery.records[-1].arrival_ms
            stats.iterator_age_max_ms = max(
                stats.iterator_age_max_ms, now_ms - delivery.records[0].arrival_ms
            )
        if outcome.failed:
            stats.last_error = outcome.payload[:500].decode(errors="replace")

    def _invoke(self, payload: bytes) -> Outcome:
        try:
            return self._platform.invoke(self.mapping.function_name, payload)
        except PayloadTooLargeError as error:  # bisecting is the way out
            return Outcome(str(error).encode(), failed=True)

    def _give_up(self, given_up: GiveUp) -> None:
        request_id, now_ms = str(uuid.uuid4()), _now_ms()
        if self.mapping.failure_bucket is not None:
            body = failure_record(self.mapping, self.shard_id, given_up, request_id, now_ms)
            key = failure_key(self.mapping, self.shard_id, request_id, now_ms)
            self._platform.store_failure(self.mapping.failure_bucket, key, body)
        log.warning("%s gave up %d records: %s", self.name, len(given_up.records), given_up.condition)
        self._shard.given_up()
        self.stats.given_up += len(given_up.records)

    def _save(self) -> None:
        checkpoint = self._shard.checkpoint
        if checkpoint != self._saved:
            self._checkpoints.save(self.mapping.name, self.shard_id, checkpoint)
            self._saved = checkpoint

    def _failed(self, error: Exception) -> None:
        self.stats.last_error = f"{type(error).__name__}: {error}"
        log.log(
            logging.WARNING if isinstance(error, WireError) else logging.ERROR, "%s: %s", self.name, error
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _seconds_until(at_ms: int | None) -> float:
    return IDLE_WITH_BELL_S if at_ms is None else max(0.001, (at_ms - _now_ms()) / 1000)
