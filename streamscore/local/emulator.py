"""The AWS emulator (ministack) as a child process of ours, on 127.0.0.1, from an environment of its own."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from common.errors import StreamscoreError
from streamscore.local import processes

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
READY_WITHIN_S = 30.0
WAIT_SCALE = 0.01
"""State machines wait so much shorter here, between tries too: nobody sits at their desk for a day."""
_LAUNCHER = Path(__file__).with_name("emulator_launcher.py")
_PROJECT = Path(__file__).resolve().parents[2]


class EmulatorError(StreamscoreError):
    """The emulator cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def endpoint(self) -> str:
        """The address that every AWS client is pointed at."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it and wait until it has ended; its data goes with it."""
        processes.stop(self.process)


def start(
    state_dir: Path, port: int = 0, *, as_shipped: bool = False, bell: str = "", jobs: str = ""
) -> Emulator:
    """Start the emulator, logging to `state_dir`/emulator.log; return when it answers. Port 0: a free one.

    `as_shipped` leaves out our mends; the address `bell` is told of what comes on streams, the URL `jobs`
    does the SageMaker jobs of state machines. EmulatorError if the port is taken or its environment missing.
    """
    python = _PROJECT / ".tools/emulator/bin/python"
    if not python.exists():
        raise EmulatorError(
            f"{python} is missing; run scripts/bootstrap.sh emulator (every make target does)"
        )
    state_dir.mkdir(parents=True, exist_ok=True)
    env = {"STREAMSCORE_BELL": bell, "STREAMSCORE_JOBS": jobs}
    env["STREAMSCORE_EMULATOR_AS_SHIPPED"] = "1" if as_shipped else ""
    if port:
        _refuse_taken(port)
        return _start(python, state_dir, port, env)
    for _ in range(3):  # another may take a free port before we do
        try:
            return _start(python, state_dir, _free_port(), env)
        except EmulatorError as error:
            last = error
    raise last


def _start(python: Path, state_dir: Path, port: int, env: dict[str, str]) -> Emulator:
    log = state_dir / "emulator.log"
    with log.open("wb") as output:
        process = processes.spawn(
            [str(python), str(_LAUNCHER)],
            cwd=state_dir,
            env=_environment(state_dir, port) | env,
            output=output,
        )
    emulator = Emulator(process, port)
    try:
        _wait_until_ready(emulator, log)
    except BaseException:
        emulator.stop()
        raise
    return emulator


def _environment(state_dir: Path, port: int) -> dict[str, str]:
    return {
        **CREDENTIALS,
        "PATH": os.environ.get("PATH", ""),
        "BIND_HOST": "127.0.0.1",  # the default is every interface
        "GATEWAY_PORT": str(port),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "TMPDIR": str(state_dir),  # it leaves a pid file there
        "SFN_WAIT_SCALE": str(WAIT_SCALE),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise EmulatorError(
                f"port {port} on 127.0.0.1 is taken; end what listens there or choose another with --port"
            ) from error


def _wait_until_ready(emulator: Emulator, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if emulator.process.poll() is not None:
            raise EmulatorError(
                f"the emulator ended at once with code {emulator.process.returncode}; see {log}"
            )
        try:
            with urllib.request.urlopen(f"{emulator.endpoint}/_ministack/health", timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise EmulatorError(f"the emulator did not answer within {READY_WITHIN_S:.0f} s; see {log}")
