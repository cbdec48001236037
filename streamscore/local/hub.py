"""The supervisor's door on 127.0.0.1, behind a secret path: the emulator's invocations, our commands."""

import http.server
import json
import secrets
import threading
from collections.abc import Callable
from typing import Any, override

from common.errors import StreamscoreError
from streamscore.local.function_process import Outcome
from streamscore.local.http_api import NOT_FOUND, Request, Response

type Invoke = Callable[[str, bytes, str], Outcome]
type Command = Callable[[dict[str, Any]], Any]
type Api = Callable[[Request], Response]

_JSON = "application/json"


class Hub:
    """Under a secret: `invoke` for the emulator, commands for the CLI, `api/…` for HTTP clients."""

    def __init__(self) -> None:
        self.invoke: Invoke | None = None
        self.commands: dict[str, Command] = {}
        self.api: Api | None = None
        self.secret = secrets.token_urlsafe(16)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="hub", daemon=True).start()

    @property
    def url(self) -> str:
        """What comes before `/invoke`."""
        return f"http://127.0.0.1:{self._server.server_port}/{self.secret}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: Hub


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet a reply
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        _, given, *rest = self.path.split("/")
        match rest if secrets.compare_digest(given.encode(), hub.secret.encode()) else []:
            case ["invoke"] if hub.invoke:
                self._invoke(hub.invoke, body)
            case ["api", *path] if hub.api:
                self._reply(*hub.api(Request(method, "/" + "/".join(path), dict(self.headers), body)))
            case [name] if name in hub.commands:
                self._command(hub.commands[name], body)
            case _:
                self._reply(*NOT_FOUND)

    def _invoke(self, invoke: Invoke, body: bytes) -> None:
        """A function error is a 500, by which the emulator knows it; its document is the body."""
        name = self.headers.get("X-Amzn-Lambda-Function-Name", "")
        outcome = invoke(name, body, self.headers.get("X-Amzn-Lambda-Request-Id", ""))
        self._reply(500 if outcome.failed else 200, _JSON, outcome.payload)

    def _command(self, command: Command, body: bytes) -> None:
        try:
            self._reply(200, _JSON, json.dumps(command(json.loads(body or b"{}"))).encode())
        except StreamscoreError as error:
            self._reply(409, _JSON, json.dumps({"error": str(error)}).encode())

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass
