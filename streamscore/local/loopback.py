"""What our HTTP servers on the loopback have in common: a thread a connection, and no noise."""

import http.server
import sys
import threading
from typing import Any, override


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Ends without waiting for open connections; a client that was killed is no error of ours."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    @property
    def address(self) -> str:
        """Host and port, as in a URL."""
        return f"127.0.0.1:{self.server_port}"

    def start(self, name: str) -> None:
        """Serve in a thread of that name, until `close`."""
        threading.Thread(target=self.serve_forever, args=(0.1,), name=name, daemon=True).start()

    def close(self) -> None:
        """Stop serving, after the thread's next look."""
        self.shutdown()
        self.server_close()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Told on stderr, but for connections that broke."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class LoopbackHandler(http.server.BaseHTTPRequestHandler):
    """Keeps connections open, sends a reply in one packet, logs nothing."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


class AnyMethodHandler(LoopbackHandler):
    """Whatever the method, `serve` answers."""

    def __getattr__(self, name: str) -> Any:
        """`do_GET`, `do_PATCH`, …"""
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self) -> None:
        """Answer one request."""
        raise NotImplementedError
