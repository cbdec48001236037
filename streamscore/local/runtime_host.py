"""Lambda on this machine: each function in a process of its own, started when it is first invoked."""

import threading
import uuid
from collections.abc import Callable, Iterable

from common.errors import StreamscoreError, TransientError
from streamscore.local.function_log import FunctionLog
from streamscore.local.function_process import Function, FunctionProcess, Outcome, Site

MAX_PAYLOAD_BYTES = 6 * 2**20


class UnknownFunctionError(StreamscoreError):
    """No function of that name is deployed."""


class PayloadTooLargeError(StreamscoreError):
    """An event above 6 MB, which Lambda refuses to take."""


class HostClosedError(TransientError):
    """The host is ending: a process started now would be left over."""


class RuntimeHost:
    """Invoke functions by name, one event at a time each; a broken process is replaced at the next."""

    def __init__(
        self,
        functions: Iterable[Function],
        site: Site,
        on_line: Callable[[str, bytes], None] = lambda _function, _line: None,
    ) -> None:
        self._lanes = {
            function.name: _Lane(
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
        return self._lane(name).invoke(payload, request_id or str(uuid.uuid4()))

    def warm(self, name: str) -> None:
        """Start the function's process now if none runs; an init error waits for the next invocation."""
        self._lane(name).warm()

    def pids(self) -> dict[str, int]:
        """The processes that run now, by function."""
        return {name: pid for name, lane in self._lanes.items() if (pid := lane.pid()) is not None}

    def close(self) -> None:
        """End every process; returns when they are gone and their logs written."""
        for lane in self._lanes.values():
            lane.close()

    def _lane(self, name: str) -> "_Lane":
        if name not in self._lanes:
            raise UnknownFunctionError(f"no function {name!r}; there are {', '.join(sorted(self._lanes))}")
        return self._lanes[name]


class _Lane:
    """One function and the process it has at the moment, if any."""

    def __init__(self, function: Function, site: Site, log: FunctionLog) -> None:
        self._function, self._site, self._log = function, site, log
        self._process: FunctionProcess | None = None
        self._init_error: Outcome | None = None
        self._turn = threading.Lock()
        self._closed = False

    def invoke(self, payload: bytes, request_id: str) -> Outcome:
        with self._turn:
            process = self._running()
            if self._init_error is not None:
                outcome, self._init_error = self._init_error, None
            else:
                outcome = process.invoke(payload, request_id)
            if process.broken:
                self._discard()
            return outcome

    def warm(self) -> None:
        with self._turn:
            self._running()

    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None else None

    def close(self) -> None:
        self._closed = True
        self._discard()
        self._log.close()

    def _running(self) -> FunctionProcess:
        if self._closed:
            raise HostClosedError(f"{self._function.name} is not invoked: the local stack is going down")
        if self._process is not None and not self._process.alive:
            self._discard()
        if self._process is None:
            self._process = FunctionProcess(self._function, self._site, self._log)
            self._init_error = self._process.initialise()
        return self._process

    def _discard(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None


def _bind(on_line: Callable[[str, bytes], None], name: str) -> Callable[[bytes], None]:
    return lambda line: on_line(name, line)
