"""Stands before the emulator on the loopback; does to calls of functions and producer what AWS may do.

Spared are reads of S3 and SSM: a model or policy that cannot be read at a cold start changes decisions by
design (`model_unavailable`), and this is about what must not change them.
"""

import http.server
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPMessage
from typing import Any, BinaryIO, cast, override
from urllib.parse import urlsplit

from streamscore.chaos.schedule import Fault, Schedule
from streamscore.local.bodies import body_of
from streamscore.local.loopback import AnyMethodHandler, LoopbackServer

SLOW_AT_MOST_S = 0.3
_HOP = {"connection", "content-length", "transfer-encoding", "keep-alive", "date", "server"}
_LISTS = {"BatchExecuteStatement": "Statements", "PutEvents": "Entries", "PutRecords": "Records"}
PARTLY = ("BatchGetItem", *_LISTS)
"""Operations that can be done in part."""


class Proxy:
    """The running proxy; `seen` counts what it did, by operation and fault.

    `on_done` hears of each call that was done: operation, request and reply.
    """

    def __init__(
        self,
        upstream: str,
        schedule: Schedule,
        on_done: Callable[[str, bytes, bytes], None] = lambda _operation, _request, _reply: None,
    ) -> None:
        self.upstream, self.schedule, self.on_done = urlsplit(upstream), schedule, on_done
        self.seen: Counter[tuple[str, Fault]] = Counter()
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._server.start("proxy")

    @property
    def endpoint(self) -> str:
        """What functions take for AWS."""
        return f"http://{self._server.address}"

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def fault(self, operation: str, spared: bool) -> tuple[Fault, int]:
        """What becomes of the next call of that kind, and its number."""
        with self._lock:
            self._calls[operation] += 1
            number = self._calls[operation]
            fault = Fault.NONE if spared else self.schedule.fault(operation, number)
            if fault is Fault.PARTIAL and operation not in PARTLY:
                fault = Fault.NONE
            self.seen[operation, fault] += 1
        return fault, number


class _Server(LoopbackServer):
    proxy: Proxy


class _Handler(AnyMethodHandler):
    server: _Server

    @override
    def serve(self) -> None:
        """Answer one request."""
        proxy, body = self.server.proxy, body_of(self.headers, cast(BinaryIO, self.rfile))
        service, _, operation = self.headers.get("X-Amz-Target", "S3." + self.command).rpartition(".")
        spared = "SSM" in service or (service == "S3" and self.command in {"GET", "HEAD"})
        fault, number = proxy.fault(operation, spared)
        match fault:
            case Fault.RESET:
                self.close_connection = True
            case Fault.THROTTLED:
                self._refuse(service, 400 if service != "S3" else 503)
            case Fault.FAILED:
                self._refuse(service, 500)
            case Fault.PARTIAL:
                self._partly(operation, body)
            case _:
                if fault is Fault.SLOW:
                    time.sleep(proxy.schedule.delay_s(operation, number, SLOW_AT_MOST_S))
                status, headers, reply = self._passed_on(operation, body)
                if fault is Fault.LOST:
                    self.close_connection = True
                else:
                    self._reply(status, headers, reply)

    def _refuse(self, service: str, status: int) -> None:
        throttled = status != http.HTTPStatus.INTERNAL_SERVER_ERROR
        if service == "S3":
            code = "SlowDown" if throttled else "InternalError"
            self._reply(status, {}, f"<Error><Code>{code}</Code><Message>chaos</Message></Error>".encode())
            return
        code = "ThrottlingException" if throttled else "InternalServerError"
        if throttled and service.startswith(("DynamoDB", "Kinesis")):
            code = "ProvisionedThroughputExceededException"
        self._reply(status, {}, json.dumps({"__type": code, "message": "chaos"}).encode())

    def _partly(self, operation: str, body: bytes) -> None:
        now, later = halves(operation, json.loads(body))
        status, headers, reply = self._passed_on(operation, json.dumps(now).encode())
        if status == http.HTTPStatus.OK:
            reply = json.dumps(left_undone(operation, json.loads(reply), later)).encode()
        self._reply(status, {name: v for name, v in headers.items() if "crc32" not in name.lower()}, reply)

    def _passed_on(self, operation: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        proxy = self.server.proxy
        connection = HTTPConnection(proxy.upstream.hostname or "", proxy.upstream.port, timeout=60)
        try:
            connection.request(self.command, self.path, body, _kept(self.headers))
            reply = connection.getresponse()
            answer = reply.read()
        finally:
            connection.close()
        if reply.status == http.HTTPStatus.OK:
            proxy.on_done(operation, body, answer)
        return reply.status, _kept(reply.msg), answer

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _kept(headers: HTTPMessage | Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}


def halves(operation: str, request: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The request with the first half of what it asks for, and the other half."""
    if operation == "BatchGetItem":
        [(table, asked)] = request["RequestItems"].items()
        now, later = _halved(asked["Keys"])
        left = [{table: {**asked, "Keys": later}}] if later else []
        return {**request, "RequestItems": {table: {**asked, "Keys": now}}}, left
    now, later = _halved(request[_LISTS[operation]])
    return {**request, _LISTS[operation]: now}, later


def left_undone(operation: str, reply: dict[str, Any], later: list[Any]) -> dict[str, Any]:
    """The reply to the first half, telling the other as AWS tells what it had no capacity for."""
    if operation == "BatchGetItem":
        return reply | ({"UnprocessedKeys": later[0]} if later else {})
    if operation == "BatchExecuteStatement":
        throttled = {"Error": {"Code": "ThrottlingError", "Message": "chaos"}}
        return {**reply, "Responses": reply["Responses"] + [throttled] * len(later)}
    of_stream = operation == "PutRecords"
    code = "ProvisionedThroughputExceededException" if of_stream else "ThrottlingException"
    failed = {"ErrorCode": code, "ErrorMessage": "chaos"}
    entries, count = _LISTS[operation], "FailedRecordCount" if of_stream else "FailedEntryCount"
    return {
        **reply,
        entries: reply[entries] + [failed] * len(later),
        count: reply.get(count, 0) + len(later),
    }


def _halved(things: list[Any]) -> tuple[list[Any], list[Any]]:
    half = (len(things) + 1) // 2
    return things[:half], things[half:]
