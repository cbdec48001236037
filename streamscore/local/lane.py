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
from streamscore.local.delivery import Checkpoint, Deliver, Failed, GiveUp, Record, Refused, Wait
from streamscore.local.events import event_bytes, failure_key, failure_record
from streamscore.local.filters import compile_filters
from streamscore.local.function_process import Outcome
from streamscore.local.gate import Gate
from streamscore.local.lambda_metrics import FUNCTION, MAPPING
from streamscore.local.mapping import Mapping
from streamscore.local.pace import PACES, Pace
from streamscore.local.replies import read_reply
from streamscore.local.runtime_host import PayloadTooLargeError, ThrottledError
from streamscore.local.shard import Shard
from streamscore.local.streams import Stream
from streamscore.local.wire import WireError

log = logging.getLogger(__name__)

IDLE_FIRST_S, IDLE_LAST_S = 0.004, 0.05
"""How long a lane sleeps that has found nothing, and has nobody to wake it: first, and at last."""
IDLE_WITH_BELL_S = 0.1
_AFTER_ERROR_S = 0.25


@dataclass
class LaneStats:
    """What a lane has done so far. Times of `time.monotonic`."""

    records: int = 0
    filtered: int = 0
    invocations: int = 0
    failures: int = 0
    throttled: int = 0
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

    def tell(self, dimension: str, of: str, **metrics: float) -> None:
        """Take metrics of a function or mapping, as `LambdaMetrics.tell` does."""


class Lane(threading.Thread):
    """Feeds one function from one shard, in order, until the gate says stop or the shard has ended."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        mapping: Mapping,
        shard_id: str,
        platform: Platform,
        checkpoints: Checkpoints,
        gate: Gate,
        *,
        on_shard_end: Callable[[], None],
        pace: Pace = PACES["local"],
    ) -> None:
        super().__init__(name=f"{mapping.name}-{shard_id}", daemon=True)
        self.mapping, self.shard_id = mapping, shard_id
        self.stats = LaneStats()
        self.done = False  # the shard has ended, and everything in it is over
        self._on_shard_end = on_shard_end
        self._every_s = pace.table_s if mapping.reads_table else pace.kinesis_s
        self._read_at_s = 0.0
        self._platform, self._checkpoints, self._gate = platform, checkpoints, gate
        self._wanted = compile_filters(list(mapping.patterns))
        self._since_ms = _since_ms(mapping, checkpoints)
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
        """Poll until told to stop or the shard has ended; a failed call is logged and tried again."""
        stream = self._platform.open_stream(self.mapping.source_arn)
        first_s, last_s = self._idle_s
        idle_s = first_s
        while not (self._gate.stopping or self._over):
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
        if self._over:
            self.done = True
            self._on_shard_end()

    @property
    def _over(self) -> bool:
        return self.stats.ended and self._shard.empty and not self._shard.has_open_window

    def quiet_after(self, at: float) -> bool:
        """Whether a read begun after `at` found nothing, with nothing left to do, or the shard has ended."""
        return self.stats.quiet_at > at or self.done

    def _step(self, stream: Stream) -> tuple[bool, float]:
        """Act or read once; returns whether something happened, and else how long to sleep at most."""
        ended = self.stats.ended  # an open window ends with its shard, and nothing more can join a batch
        action = self._shard.next(_now_ms(), at_tip=self._at_tip or ended, flush=self._gate.flushing or ended)
        match action:
            case Deliver():
                self._deliver(action)
            case GiveUp():
                self._give_up(action)
            case Wait(until_ms=until_ms):
                pause_s = self._read_at_s - time.monotonic()
                if self._shard.room and not self.stats.ended and pause_s <= 0 and self._read(stream):
                    return True, 0.0
                wait_s = _seconds_until(until_ms)
                return False, min(wait_s, pause_s) if pause_s > 0 else wait_s
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
            return True
        self._read_at_s = started + self._every_s
        if self._at_tip and self._shard.empty:
            self.stats.quiet_at = started
        return False

    def _take(self, documents: list[tuple[str, int, dict[str, object]]]) -> None:
        wanted, since_ms = self._wanted, self._since_ms
        records = [
            Record(sequence, arrival_ms, self._encode(document))
            for sequence, arrival_ms, document in documents
            if arrival_ms >= since_ms and (wanted is None or wanted(document))
        ]
        self._read_through = documents[-1][0]
        self._shard.offer(records, self._read_through, _now_ms())
        self.stats.filtered += len(documents) - len(records)
        self._save()

    def _deliver(self, delivery: Deliver) -> None:
        payload = event_bytes(self.mapping, self.shard_id, delivery)
        if delivery.records:
            age_ms = _now_ms() - delivery.records[-1].arrival_ms
            self._platform.tell(FUNCTION, self.mapping.function_name, IteratorAge=age_ms)
        outcome = self._invoke(payload)
        reply = read_reply(self.mapping.rules, delivery, outcome)
        now_ms, stats = _now_ms(), self.stats
        self._shard.settle(reply, now_ms)
        if isinstance(reply, Refused):
            stats.throttled += 1
            stats.last_error = outcome.payload[:500].decode(errors="replace")
            return
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
        except ThrottledError as error:
            return Outcome(str(error).encode(), failed=True, refused=True)

    def _give_up(self, given_up: GiveUp) -> None:
        request_id, now_ms, metric = str(uuid.uuid4()), _now_ms(), "DroppedEventCount"
        if self.mapping.failure_bucket is not None:
            body = failure_record(self.mapping, self.shard_id, given_up, request_id, now_ms)
            key = failure_key(self.mapping, self.shard_id, request_id, now_ms)
            self._platform.store_failure(self.mapping.failure_bucket, key, body)
            metric = "OnFailureDestinationDeliveredEventCount"
        self._platform.tell(MAPPING, self.mapping.uuid, **{metric: len(given_up.records)})
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


def _since_ms(mapping: Mapping, checkpoints: Checkpoints) -> int:
    """Records that arrived before are skipped, by all lanes of the mapping alike and after restarts too.

    DynamoDB tells whole seconds only, so LATEST there may bring what came within the second before.
    """
    match mapping.starts:
        case "LATEST":
            began_ms = checkpoints.began_ms(mapping.name, _now_ms())
            return began_ms // 1000 * 1000 if mapping.reads_table else began_ms
        case "AT_TIMESTAMP":
            return mapping.starts_at_ms or 0
    return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _seconds_until(at_ms: int | None) -> float:
    return IDLE_WITH_BELL_S if at_ms is None else max(0.001, (at_ms - _now_ms()) / 1000)
