"""The supervisor's door on 127.0.0.1, behind a secret path: the emulator's invocations, our commands."""

import http.server
import json
import secrets
import threading
from collections.abc import Callable
from typing import Any, override

from common.errors import StreamscoreError
from streamscore.local.function_process import Outcome

type Command = Callable[[dict[str, Any]], Any]


class Hub:
    """Serves `POST /<secret>/invoke` for the emulator and `POST /<secret>/<command>` for the CLI."""

    def __init__(self) -> None:
        self.invoke: Callable[[str, bytes, str], Outcome] | None = None
        self.commands: dict[str, Command] = {}
        self._secret = secrets.token_urlsafe(16)
        self._server = _Server(("127.0.0.1", 0), _handler(self, self._secret))
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="hub", daemon=True).start()

    @property
    def url(self) -> str:
        """What comes before `/invoke`."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._secret}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(hub: Hub, secret: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            match self.path.split("/"):
                case ["", given, "invoke"] if secrets.compare_digest(given, secret) and hub.invoke:
                    self._invoke(hub.invoke, body)
                case ["", given, name] if secrets.compare_digest(given, secret) and name in hub.commands:
                    self._command(hub.commands[name], body)
                case _:
                    self._reply(404, b"{}")

        def _invoke(self, invoke: Callable[[str, bytes, str], Outcome], body: bytes) -> None:
            """A function error is a 500, by which the emulator knows it; its document is the body."""
            name = self.headers.get("X-Amzn-Lambda-Function-Name", "")
            outcome = invoke(name, body, self.headers.get("X-Amzn-Lambda-Request-Id", ""))
            self._reply(500 if outcome.failed else 200, outcome.payload)

        def _command(self, command: Command, body: bytes) -> None:
            try:
                self._reply(200, json.dumps(command(json.loads(body or b"{}"))).encode())
            except StreamscoreError as error:
                self._reply(409, json.dumps({"error": str(error)}).encode())

        def _reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
