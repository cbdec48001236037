"""Keeps a poller's process running: what was killed is started again, and polls on if it did before."""

import http.client
import json
import logging
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import msgspec

from streamscore.local import processes
from streamscore.local.poller import DrainTimeoutError
from streamscore.local.poller_process import Settings

log = logging.getLogger(__name__)

_UP_WITHIN_S = 120.0
_LOOK_S = 0.02


class PollerKeeper:
    """The same commands as a Poller; a call that falls into a restart is made again."""

    def __init__(self, settings: Settings, environment: dict[str, str], log_path: Path) -> None:
        self._settings, self._environment, self._log_path = settings, environment, log_path
        self._polling, self._stopping = False, False
        self.restarts = 0
        self._process = self._spawn()
        threading.Thread(target=self._keep, name="poller-keeper", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process that polls now."""
        return self._process.pid

    def start(self) -> None:
        """Let it poll, and whatever replaces it."""
        self._polling = True
        self._call("start", _UP_WITHIN_S)

    def pause(self) -> None:
        """Start no further invocation."""
        self._polling = False
        self._call("stop", _UP_WITHIN_S)

    def drain(self, timeout_s: float) -> None:
        """Return when all is worked off; raises DrainTimeoutError."""
        self._call("drain", timeout_s, timeout_s=timeout_s)

    def stats(self) -> dict[str, Any]:
        """What each mapping has done since the last start."""
        stats: dict[str, Any] = self._call("stats", _UP_WITHIN_S)
        return stats

    def close(self) -> None:
        """End it for good."""
        self._stopping = True
        processes.stop(self._process)

    def _spawn(self) -> "Popen[bytes]":
        Path(self._settings.url_path).unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "streamscore.local.poller_process",
            msgspec.json.encode(replace(self._settings, polling=self._polling)).decode(),
        ]
        with self._log_path.open("ab") as output:
            return processes.spawn(command, cwd=self._log_path.parent, env=self._environment, output=output)

    def _keep(self) -> None:
        while not self._stopping:
            code = self._process.wait()
            if self._stopping:
                return
            log.warning("the poller ended with code %d; starting it again", code)
            self.restarts += 1
            self._process = self._spawn()

    def _call(self, name: str, within_s: float, **request: Any) -> Any:
        deadline = time.monotonic() + max(within_s, _UP_WITHIN_S)
        while True:
            try:
                url = Path(self._settings.url_path).read_text()
                body = json.dumps(request).encode()
                with urllib.request.urlopen(f"{url}/{name}", body, timeout=within_s + 10) as reply:  # noqa: S310
                    return json.load(reply)
            except urllib.error.HTTPError as error:
                raise DrainTimeoutError(json.load(error).get("error", name)) from error
            except (OSError, http.client.HTTPException):  # it is being started
                if time.monotonic() > deadline or self._stopping:
                    raise
            time.sleep(_LOOK_S)
