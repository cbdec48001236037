"""Lambda on this machine: each function in processes of its own, started when they are first needed."""

import threading
import uuid
from collections.abc import Callable, Iterable

from common.errors import StreamscoreError, TransientError
from streamscore.local.function_log import FunctionLog
from streamscore.local.function_process import Function, FunctionProcess, Outcome, Site
from streamscore.local.lambda_metrics import FUNCTION, Tell, untold

MAX_PAYLOAD_BYTES = 6 * 2**20
MOST_PROCESSES = 4
"""Of one function at a time: Lambda starts one an invocation that runs; a laptop lets further ones wait."""


class UnknownFunctionError(StreamscoreError):
    """No function of that name is deployed."""


class PayloadTooLargeError(StreamscoreError):
    """An event above 6 MB, which Lambda refuses to take."""


class HostClosedError(TransientError):
    """The host is ending: a process started now would be left over."""


class ThrottledError(TransientError):
    """The function's reserved concurrency is spent; Lambda's reply is a 429 and no invocation."""


class RuntimeHost:
    """Invoke functions by name, one event at a time each process; a broken one is replaced at the next."""

    def __init__(
        self,
        functions: Iterable[Function],
        site: Site,
        on_line: Callable[[str, bytes], None] = lambda _function, _line: None,
        tell: Tell = untold,
    ) -> None:
        self._tell = tell
        self._pools = {
            function.name: _Pool(
                function,
                site,
                FunctionLog(
                    site.log_dir / f"{function.log_name or function.name}.log", _bind(on_line, function.name)
                ),
            )
            for function in functions
        }

    def invoke(self, name: str, payload: bytes, request_id: str | None = None) -> Outcome:
        """Run one event and return its outcome; raises only for a call that Lambda itself would refuse."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLargeError(
                f"the event has {len(payload)} bytes; Lambda takes {MAX_PAYLOAD_BYTES}"
            )
        pool = self._pool(name)
        try:
            outcome = pool.invoke(payload, request_id or str(uuid.uuid4()))
        except ThrottledError:
            self._tell(FUNCTION, name, Throttles=1)
            raise
        self._tell(FUNCTION, name, Invocations=1, Errors=outcome.failed, Throttles=0)
        return outcome

    def reserve(self, name: str, concurrency: int | None) -> None:
        """Lambda's reserved concurrency: more at a time are throttled, 0 stops it, None frees it."""
        self._pool(name).reserved = concurrency

    def warm(self, name: str) -> None:
        """Start a process of the function now if none runs; an init error waits for the next invocation."""
        self._pool(name).warm()

    def pids(self) -> dict[str, list[int]]:
        """The processes that run now, by function; functions without any are left out."""
        return {name: pids for name, pool in self._pools.items() if (pids := pool.pids())}

    def close(self) -> None:
        """End every process; returns when they are gone and their logs written."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, name: str) -> "_Pool":
        if name not in self._pools:
            raise UnknownFunctionError(f"no function {name!r}; there are {', '.join(sorted(self._pools))}")
        return self._pools[name]


class _Pool:
    """One function and the processes it has at the moment: those that run an event, and idle ones."""

    def __init__(self, function: Function, site: Site, log: FunctionLog) -> None:
        self.reserved = function.reserved_concurrency
        self._function, self._site, self._log = function, site, log
        self._idle: list[FunctionProcess] = []
        self._busy: list[FunctionProcess] = []
        self._running = 0
        self._turn = threading.Condition()
        self._closed = False

    def invoke(self, payload: bytes, request_id: str) -> Outcome:
        self._enter()
        try:
            process = self._take()
            try:
                return process.init_error() or process.invoke(payload, request_id)
            finally:
                self._give_back(process)
        finally:
            self._leave()

    def warm(self) -> None:
        with self._turn:
            if self._idle or self._busy:
                return
        process = self._take()
        with self._turn:  # an init error is kept for the invocation that asks
            self._busy.remove(process)
            self._idle.append(process)

    def pids(self) -> list[int]:
        with self._turn:
            return [process.pid for process in (*self._busy, *self._idle) if process.alive]

    def close(self) -> None:
        self._closed = True
        with self._turn:
            processes, self._idle = [*self._busy, *self._idle], []
            self._turn.notify_all()
        for process in processes:
            process.close()
        with self._turn:  # who still runs writes to the log
            self._turn.wait_for(lambda: not self._running, timeout=1.0)
        self._log.close()

    def _enter(self) -> None:
        """Wait for one's turn; throttled when the reserved concurrency is spent, and never waiting then."""
        with self._turn:
            if self.reserved is not None and self._running >= self.reserved:
                raise ThrottledError(
                    f"{self._function.name}: Rate exceeded: the reserved concurrency is {self.reserved}; "
                    "try again later"
                )
            self._turn.wait_for(lambda: self._running < MOST_PROCESSES or self._closed)
            self._running += 1

    def _leave(self) -> None:
        with self._turn:
            self._running -= 1
            self._turn.notify()

    def _take(self) -> FunctionProcess:
        """An idle process that still lives, or a new one, initialised."""
        with self._turn:
            if self._closed:
                raise HostClosedError(f"{self._function.name} is not invoked: the local stack is going down")
            dead = [process for process in self._idle if not process.alive and not process.broken]
            self._idle = [process for process in self._idle if process not in dead]
            process = self._idle.pop() if self._idle else None
            new = process or FunctionProcess(self._function, self._site, self._log)
            self._busy.append(new)
        for one in dead:
            one.close()
            one.close_log()
        if process is None:
            new.initialise()
        return new

    def _give_back(self, process: FunctionProcess) -> None:
        with self._turn:
            self._busy.remove(process)
            if not process.broken and not self._closed:
                self._idle.append(process)
                return
        process.close()
        process.close_log()


def _bind(on_line: Callable[[str, bytes], None], name: str) -> Callable[[bytes], None]:
    return lambda line: on_line(name, line)
