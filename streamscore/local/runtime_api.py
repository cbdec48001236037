"""The Lambda Runtime API of one function process: hands it events, takes its answers.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, version 2018-06-01.
"""

import queue
import threading
from dataclasses import dataclass
from typing import BinaryIO, cast

from streamscore.local.bodies import body_of
from streamscore.local.loopback import LoopbackHandler, LoopbackServer

MAX_RESPONSE_BYTES = 6_291_556  # AWS's own odd figure: 6 MB and 100 bytes


@dataclass(frozen=True)
class Event:
    """One invocation as the function process gets it."""

    request_id: str
    payload: bytes
    deadline_ms: int
    function_arn: str
    trace_id: str


@dataclass(frozen=True)
class Ready:
    """The process has initialised and waits for its first event."""


@dataclass(frozen=True)
class Answer:
    """The process is done with an event."""

    request_id: str
    body: bytes
    failed: bool


@dataclass(frozen=True)
class InitFailed:
    """The handler could not be loaded; the process is about to exit."""

    body: bytes


@dataclass(frozen=True)
class Exited:
    """The process has ended; a negative code is the signal's number."""

    code: int


type Message = Ready | Answer | InitFailed | Exited


class RuntimeApi:
    """A server on a port of its own; what the process says arrives in `messages`."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ready_told = False
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._server.start("runtime-api")

    @property
    def address(self) -> str:
        """What AWS_LAMBDA_RUNTIME_API is set to."""
        return self._server.address

    def send(self, event: Event) -> None:
        """Let the process have its next event."""
        self._events.put(event)

    def next_event(self) -> Event | None:
        """The next event, waited for; None when there will be none. The first call says Ready."""
        if not self._ready_told:
            self._ready_told = True
            self.messages.put(Ready())
        return self._events.get()

    def close(self) -> None:
        """Stop serving; a process that still waits for an event finds the line cut and exits."""
        self._events.put(None)
        threading.Thread(target=self._end, name="runtime-api-end", daemon=True).start()

    def _end(self) -> None:
        self._server.close()


class _Server(LoopbackServer):
    api: RuntimeApi


class _Handler(LoopbackHandler):
    server: _Server

    def do_GET(self) -> None:
        event = self.server.api.next_event()
        if event is None:
            self.close_connection = True
            return
        self._reply(200, event.payload, _headers(event))

    def do_POST(self) -> None:
        body, messages = body_of(self.headers, cast(BinaryIO, self.rfile)), self.server.api.messages
        match self.path.split("/")[3:]:  # /2018-06-01/runtime/…
            case ["init", "error"]:
                messages.put(InitFailed(body))
            case ["invocation", request_id, "response"] if len(body) > MAX_RESPONSE_BYTES:
                messages.put(Answer(request_id, _too_large(len(body)), failed=True))
            case ["invocation", request_id, outcome]:
                messages.put(Answer(request_id, body, failed=outcome == "error"))
        self._reply(202, b'{"status":"OK"}', {})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _too_large(length: int) -> bytes:
    return (
        b'{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size (%d bytes) '
        b'exceeded maximum allowed payload size (%d bytes)."}' % (length, MAX_RESPONSE_BYTES)
    )


def _headers(event: Event) -> dict[str, str]:
    return {
        "Lambda-Runtime-Aws-Request-Id": event.request_id,
        "Lambda-Runtime-Deadline-Ms": str(event.deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
        "Lambda-Runtime-Trace-Id": event.trace_id,
    }
