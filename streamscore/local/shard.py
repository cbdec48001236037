"""How one shard's records become invocations: AWS's rules for stream mappings as a state machine without I/O.

Time is an argument. The owner offers records, asks `next`, does what it says, and tells it the outcome by
`settle` or `given_up`. `checkpoint` names what is over for good.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamscore.local.delivery import (
    Action,
    Checkpoint,
    Deliver,
    Failed,
    FailedFrom,
    GiveUp,
    Record,
    Refused,
    Reply,
    Rules,
    Succeeded,
    Wait,
    Window,
)

MAX_EVENT_BYTES = 6 * 2**20
MAX_STATE_BYTES = 2**20
_ENVELOPE_BYTES = 1024
_WINDOW_GRACE_MS = 2_000  # AWS waits up to two minutes for a late record; a laptop's clock is one clock


@dataclass(frozen=True)
class _Piece:
    """Records that are delivered together until bisected; `failures` count against the retry quota."""

    records: tuple[Record, ...]
    failures: int = 0
    invocations: int = 0
    not_before_ms: int = 0
    errored: bool = False
    final: bool = False
    early: bool = False


class Shard:
    """One shard under one mapping."""

    def __init__(self, rules: Rules, start: Checkpoint) -> None:
        self._rules = rules
        self._waiting: deque[Record] = deque()
        self._waiting_since_ms = 0
        self._pieces: tuple[_Piece, ...] = ()
        self._window = start.window
        self._done = start.sequence
        self._read = start.sequence

    def offer(self, records: Sequence[Record], read_through: str, now_ms: int) -> None:
        """Take newly read records (those that passed the filter); `read_through` is the last one read."""
        if records and not self._waiting:
            self._waiting_since_ms = now_ms
        self._waiting.extend(records)
        self._read = read_through

    def next(self, now_ms: int, *, at_tip: bool, flush: bool = False) -> Action:
        """What to do now. `at_tip`: nothing newer was there at the last read; `flush`: wait for nothing."""
        if not self._pieces:
            self._pieces = self._cut(now_ms, at_tip, flush)
        if not self._pieces:
            return Wait(self._wake_ms())
        head = self._pieces[0]
        if expired := self._expired(head, now_ms):
            self._pieces = (replace(head, records=expired), *_rest(head, len(expired)), *self._pieces[1:])
            return self._give_up(head, expired, "RecordAgeExceeded")
        if self._exhausted(head):
            return self._give_up(head, head.records, "RetryAttemptsExhausted")
        if head.not_before_ms > now_ms:
            return Wait(head.not_before_ms)
        if self._rules.tumbling_ms and self._window is None:
            self._window = Window(self._window_start(head.records[0]))
        return Deliver(head.records, self._window, head.final, head.early)

    def settle(self, reply: Reply, now_ms: int) -> None:
        """Tell the outcome of the delivery that `next` asked for."""
        head, *later = self._pieces
        match reply:
            case Succeeded():
                after = self._succeeded(head)
            case FailedFrom(index=index) if index > 0:
                after = self._partly(head, index, now_ms)
            case FailedFrom():
                after = self._failed(head, now_ms, errored=False)
            case Failed(errored=errored):
                after = self._failed(head, now_ms, errored=errored)
            case Refused():
                after = (replace(head, not_before_ms=now_ms + _backoff_ms(1)),)
        self._pieces = (*after, *later)
        match reply:
            case Succeeded(state=bytes(state)) | FailedFrom(state=bytes(state)) if not head.final:
                self._hand_over(state)

    def given_up(self) -> None:
        """The failure record of what `next` gave up is stored: go on behind it."""
        head, *later = self._pieces
        self._done = head.records[-1].sequence
        self._pieces = tuple(later)

    @property
    def checkpoint(self) -> Checkpoint:
        """Everything up to here is delivered, given up or filtered out."""
        return Checkpoint(self._read if self.empty else self._done, self._window)

    @property
    def empty(self) -> bool:
        """Whether all that was read is over."""
        return not self._pieces and not self._waiting

    @property
    def room(self) -> bool:
        """Whether more records should be read before the next invocation."""
        return len(self._waiting) < self._rules.batch_size

    @property
    def has_open_window(self) -> bool:
        """Whether a tumbling window waits for its final invocation."""
        return self._window is not None

    def _cut(self, now_ms: int, at_tip: bool, flush: bool) -> tuple[_Piece, ...]:
        """The next batch off the waiting records, or the open window's end, or nothing yet."""
        window, tumbling_ms = self._window, self._rules.tumbling_ms
        if not self._waiting:
            over = window and now_ms >= window.start_ms + tumbling_ms + _WINDOW_GRACE_MS and at_tip
            return (_Piece((), final=True, early=not over),) if window and (over or flush) else ()
        start_ms = self._window_start(self._waiting[0])
        if window and start_ms > window.start_ms:
            return (_Piece((), final=True),)
        count, full = self._batch_length()
        if not full and not flush and now_ms < self._waiting_since_ms + self._rules.batching_ms:
            return ()
        self._waiting_since_ms = now_ms
        return (_Piece(tuple(self._waiting.popleft() for _ in range(count))),)

    def _batch_length(self) -> tuple[int, bool]:
        """How many waiting records fit one event, and whether no later record could join them."""
        size, start_ms = _ENVELOPE_BYTES + len(self._window.state if self._window else b""), None
        for count, record in enumerate(self._waiting):
            size += len(record.body) + 1
            start_ms = self._window_start(record) if start_ms is None else start_ms
            crosses = self._window_start(record) > start_ms
            if count and (count == self._rules.batch_size or size > MAX_EVENT_BYTES or crosses):
                return count, True
        return len(self._waiting), len(self._waiting) >= self._rules.batch_size

    def _window_start(self, record: Record) -> int:
        tumbling_ms = self._rules.tumbling_ms
        start_ms = record.arrival_ms // tumbling_ms * tumbling_ms if tumbling_ms else 0
        return max(start_ms, self._window.start_ms) if self._window else start_ms

    def _wake_ms(self) -> int | None:
        if self._waiting:
            return self._waiting_since_ms + self._rules.batching_ms
        if self._window:
            return self._window.start_ms + self._rules.tumbling_ms + _WINDOW_GRACE_MS
        return None

    def _expired(self, piece: _Piece, now_ms: int) -> tuple[Record, ...]:
        if self._rules.max_age_ms is None:
            return ()
        oldest_ms = now_ms - self._rules.max_age_ms
        young = next(
            (i for i, r in enumerate(piece.records) if r.arrival_ms >= oldest_ms), len(piece.records)
        )
        return piece.records[:young]

    def _give_up(self, head: _Piece, records: tuple[Record, ...], condition: str) -> GiveUp:
        return GiveUp(records, condition, head.invocations, head.errored, self._window)

    def _exhausted(self, piece: _Piece) -> bool:
        limit = self._rules.max_retries
        return limit is not None and piece.failures > limit and not piece.final

    def _succeeded(self, head: _Piece) -> tuple[_Piece, ...]:
        if head.final:
            self._window = None
        else:
            self._done = head.records[-1].sequence
        return ()

    def _partly(self, head: _Piece, index: int, now_ms: int) -> tuple[_Piece, ...]:
        """Progress: with bisect this is the split, and free; without, it is a failed attempt at the rest."""
        self._done = head.records[index - 1].sequence
        tried = head.invocations + 1
        rest = replace(head, records=head.records[index:], invocations=tried, errored=False)
        return (rest if self._rules.bisects else _charged(rest, now_ms),)

    def _failed(self, head: _Piece, now_ms: int, *, errored: bool) -> tuple[_Piece, ...]:
        tried = replace(head, invocations=head.invocations + 1, errored=errored)
        half = len(head.records) // 2
        if self._rules.bisects and half:
            return replace(tried, records=head.records[:half]), replace(tried, records=head.records[half:])
        return (_charged(tried, now_ms),)

    def _hand_over(self, state: bytes) -> None:
        if self._window is not None:
            self._window = replace(self._window, state=state)
            if len(state) > MAX_STATE_BYTES:
                self._pieces = (_Piece((), final=True, early=True), *self._pieces)


def _rest(head: _Piece, count: int) -> tuple[_Piece, ...]:
    return (replace(head, records=head.records[count:]),) if count < len(head.records) else ()


def _charged(piece: _Piece, now_ms: int) -> _Piece:
    failures = piece.failures + 1
    return replace(piece, failures=failures, not_before_ms=now_ms + _backoff_ms(failures))


def _backoff_ms(failures: int) -> int:
    """Doubling from 25 ms to 1 s; AWS's own is not documented."""
    return int(min(1000, 25 * 2 ** min(failures - 1, 10)))
