"""The poller in a process of its own, which may be killed at any moment and goes on behind its checkpoints.

    python -m streamscore.local.poller_process SETTINGS_AS_JSON

A stack polls in its supervisor's process, which is faster; `make chaos` and tests of checkpoints use this.
"""

import http.client
import logging
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from common.errors import TransientError
from streamscore.local import clients
from streamscore.local.bell import Bell
from streamscore.local.emulator import REGION
from streamscore.local.function_process import Outcome
from streamscore.local.hub import Hub
from streamscore.local.mapping import Mapping
from streamscore.local.poller import Poller
from streamscore.local.runtime_host import PayloadTooLargeError
from streamscore.local.streams import Stream, open_stream

_CALL_WITHIN_S = 1000.0  # a function runs 900 s at most


@dataclass(frozen=True)
class Settings:
    """What it polls and where, and whether at once.

    `url_path`: where it tells its commands' address; `bell_path`: where an emulator rings, if it does.
    """

    mappings: tuple[Mapping, ...]
    endpoint: str
    invoke_url: str
    checkpoint_dir: str
    url_path: str
    bell_path: str = ""
    polling: bool = False


class InvokeError(TransientError):
    """The runtime host could not be reached: nobody knows whether the function ran."""


class RemotePlatform:
    """The world of lanes, with the functions behind the supervisor's door."""

    def __init__(self, endpoint: str, invoke_url: str) -> None:
        self._endpoint, self._url = endpoint, urlsplit(invoke_url)
        self._s3 = clients.client("s3", endpoint)
        self._own = threading.local()

    def open_stream(self, arn: str) -> Stream:
        """A connection of the lane's own."""
        return open_stream(arn, self._endpoint, REGION)

    def invoke(self, function_name: str, payload: bytes) -> Outcome:
        """Run a function; raises InvokeError, after which it may or may not have run."""
        if not hasattr(self._own, "connection"):
            host, port = self._url.hostname or "", self._url.port
            self._own.connection = http.client.HTTPConnection(host, port, timeout=_CALL_WITHIN_S)
        connection: http.client.HTTPConnection = self._own.connection
        try:
            headers = {"X-Amzn-Lambda-Function-Name": function_name, "Content-Type": "application/json"}
            connection.request("POST", self._url.path, payload, headers)
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise InvokeError(f"{function_name}: {error}") from error
        if reply.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise PayloadTooLargeError(body.decode(errors="replace"))
        refused = reply.status == http.HTTPStatus.TOO_MANY_REQUESTS
        return Outcome(body, failed=reply.status != http.HTTPStatus.OK, refused=refused)

    def store_failure(self, bucket: str, key: str, body: bytes) -> None:
        """Keep a failure record."""
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def tell(self, dimension: str, of: str, **metrics: float) -> None:
        """Nothing: in chaos nobody is alarmed."""


def main(settings: Settings) -> None:
    """Poll until SIGTERM, as the commands say: `start`, `stop`, `drain`, `stats`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    platform = RemotePlatform(settings.endpoint, settings.invoke_url)
    bell = Bell(Path(settings.bell_path)) if settings.bell_path else None
    poller = Poller(settings.mappings, platform, Path(settings.checkpoint_dir), bell)
    hub = Hub()
    hub.commands = commands_of(poller)
    if settings.polling:
        poller.start()
    beside = Path(f"{settings.url_path}.new")
    beside.touch(mode=0o600)  # it holds the door's secret
    beside.write_text(hub.url)
    beside.replace(settings.url_path)
    over.wait()
    poller.close()
    hub.close()
    if bell:
        bell.close()


def commands_of(poller: Poller) -> dict[str, Any]:
    """What a poller does on demand, by name, as a hub serves it."""
    return {
        "start": lambda _: poller.start(),
        "stop": lambda _: poller.pause(),
        "drain": lambda request: poller.drain(float(request["timeout_s"])),
        "stats": lambda _: poller.stats(),
    }


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Settings))
