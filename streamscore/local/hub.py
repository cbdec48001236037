"""The supervisor's door on 127.0.0.1, behind a secret path: the emulator's invocations, our commands."""

import json
import secrets
from collections.abc import Callable
from typing import Any, BinaryIO, cast, override

from common.errors import StreamscoreError
from streamscore.local.bodies import body_of
from streamscore.local.function_process import Outcome
from streamscore.local.http_api import NOT_FOUND, Request, Response, gateway_response
from streamscore.local.loopback import AnyMethodHandler, LoopbackServer
from streamscore.local.runtime_host import PayloadTooLargeError, ThrottledError

type Invoke = Callable[[str, bytes, str], Outcome]
type Command = Callable[[dict[str, Any]], Any]
type Api = Callable[[Request], Response]

_JSON = "application/json"
_RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"


class Hub:
    """Under a secret: `invoke` for the emulator, commands for the CLI, `api/…` for HTTP clients."""

    def __init__(self) -> None:
        self.invoke: Invoke | None = None
        self.commands: dict[str, Command] = {}
        self.api: Api | None = None
        self.secret = secrets.token_urlsafe(16)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self._server.start("hub")

    @property
    def url(self) -> str:
        """What comes before `/invoke`."""
        return f"http://{self._server.address}/{self.secret}"

    def close(self) -> None:
        """Stop serving."""
        self._server.close()


class _Server(LoopbackServer):
    hub: Hub


class _Handler(AnyMethodHandler):
    server: _Server

    @override
    def serve(self) -> None:
        """Answer one request."""
        hub = self.server.hub
        try:
            body = body_of(self.headers, cast(BinaryIO, self.rfile))
        except ValueError:
            self.close_connection = True
            self._respond(gateway_response(400, "Bad Request"))
            return
        _, given, *rest = self.path.split("/") if self.path.startswith("/") else ("", "")
        match rest if secrets.compare_digest(given.encode(), hub.secret.encode()) else []:
            case ["invoke"] if hub.invoke:
                self._invoke(hub.invoke, body)
            case ["api", *path] if hub.api:
                target = "/" + "/".join(path)
                self._respond(hub.api(Request(self.command, target, dict(self.headers), body)))
            case [name] if name in hub.commands:
                self._command(hub.commands[name], body)
            case _:
                self._respond(NOT_FOUND)

    def _invoke(self, invoke: Invoke, body: bytes) -> None:
        """A function error is a 500, by which the emulator knows it; its document is the body."""
        name = self.headers.get("X-Amzn-Lambda-Function-Name", "")
        try:
            outcome = invoke(name, body, self.headers.get("X-Amzn-Lambda-Request-Id", ""))
        except ThrottledError as error:
            self._reply(429, _JSON, json.dumps({"Reason": _RESERVED, "message": str(error)}).encode())
            return
        except PayloadTooLargeError as error:
            self._reply(413, _JSON, json.dumps({"message": str(error)}).encode())
            return
        if outcome.failed:
            self._reply(500, _JSON, _kind_first(outcome.payload))
        else:
            self._reply(200, _JSON, outcome.payload)

    def _command(self, command: Command, body: bytes) -> None:
        try:
            self._reply(200, _JSON, json.dumps(command(json.loads(body or b"{}"))).encode())
        except StreamscoreError as error:
            self._reply(409, _JSON, json.dumps({"error": str(error)}).encode())

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self._respond(Response(status, {"content-type": content_type}, body))

    def _respond(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)


def _kind_first(document: bytes) -> bytes:
    """The error with its type first: the emulator passes on no more than its beginning."""
    error = json.loads(document)
    return json.dumps({"errorType": error.get("errorType"), **error}).encode()
