"""What our HTTP servers on the loopback have in common: a thread a connection, and no noise."""

import http.server
import sys
from typing import Any, override


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Ends without waiting for open connections; a client that was killed is no error of ours."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

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
