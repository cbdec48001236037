"""A DynamoDB endpoint on loopback that passes calls on to the emulator, and does to some what networks do."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

READ, WRITE = "BatchGetItem", "BatchExecuteStatement"


class Fault(Enum):
    """What becomes of one call; those `_UNSEEN` never reach DynamoDB, of the others the answer is harmed."""

    NONE = "passed on"
    THROTTLED = "throttled as a whole"
    INTERNAL = "answered with an internal error"
    UNAVAILABLE = "answered 503 by something that speaks no DynamoDB"
    REFUSED = "hung up on"
    PARTIAL = "done by half, the rest left unprocessed"
    LOST = "done, and hung up on"
    CUT = "done, and hung up on in the midst of the answer"


_ERRORS = {
    Fault.THROTTLED: (400, {"__type": "com.amazonaws.dynamodb#ProvisionedThroughputExceededException"}),
    Fault.INTERNAL: (500, {"__type": "com.amazonaws.dynamodb#InternalServerError", "message": "?"}),
    Fault.UNAVAILABLE: (503, None),
}
Choose = Callable[[str], Fault]


class Edge:
    """The running endpoint; `choose` is asked per call, with the operation's name. `failed` counts faults."""

    def __init__(self, upstream: str, choose: Choose) -> None:
        self.choose = choose
        self.calls: Counter[str] = Counter()
        self.most_at_once = 0
        self.failed = 0
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self._inside = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def counted(self, operation: str) -> Iterator[None]:
        with self._lock:
            self.calls[operation] += 1
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1

    def passed_on(self, headers: dict[str, str], request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=30)
        try:
            connection.request("POST", "/", json.dumps(request), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


class Silent:
    """A server on loopback that takes connections and never answers."""

    def __enter__(self) -> "Silent":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def asked(self) -> int:
        """How many have connected since this was called last."""
        self._socket.setblocking(False)
        count = 0
        with suppress(BlockingIOError):
            while True:
                self._socket.accept()[0].close()
                count += 1
        return count


def _handler(edge: Edge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            operation = self.headers["X-Amz-Target"].partition(".")[2]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with edge.counted(operation):
                fault = edge.choose(operation)
                edge.failed += fault is not Fault.NONE
                if fault is Fault.REFUSED:
                    self.close_connection = True
                elif fault in _ERRORS:
                    self._answer(*_ERRORS[fault])
                else:
                    self._passed_on(operation, request, fault)

        def _passed_on(self, operation: str, request: dict[str, Any], fault: Fault) -> None:
            names = ("X-Amz-Target", "Content-Type", "Authorization", "X-Amz-Date")
            kept, rest = _halves(operation, request) if fault is Fault.PARTIAL else (request, None)
            status, told = edge.passed_on({name: self.headers[name] for name in names}, kept)
            if status == 200 and rest:
                _leave_unprocessed(told, rest)
            if fault is Fault.LOST:
                self.close_connection = True
            else:
                self._answer(status, told, whole=fault is not Fault.CUT)

        def _answer(self, status: int, told: dict[str, Any] | None, *, whole: bool = True) -> None:
            body = b"<html>busy</html>" if told is None else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if whole else body[: len(body) // 2])
            self.close_connection = not whole

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def _halves(operation: str, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The request with the first half of its keys or statements, and with the others."""
    if operation == WRITE:
        statements = request["Statements"]
        half = (len(statements) + 1) // 2
        return {**request, "Statements": statements[:half]}, {"Statements": statements[half:]}
    [(table, asked)] = request["RequestItems"].items()
    half = (len(asked["Keys"]) + 1) // 2
    first, rest = ({**asked, "Keys": keys} for keys in (asked["Keys"][:half], asked["Keys"][half:]))
    if not rest["Keys"]:
        return request, None
    return {**request, "RequestItems": {table: first}}, {"RequestItems": {table: rest}}


def _leave_unprocessed(told: dict[str, Any], rest: dict[str, Any]) -> None:
    if "Statements" in rest:
        throttled = {"Error": {"Code": "ThrottlingError", "Message": "slow down"}}
        told["Responses"] += [throttled] * len(rest["Statements"])
    else:
        told["UnprocessedKeys"] = rest["RequestItems"]
