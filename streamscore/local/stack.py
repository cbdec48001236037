"""The local stack from outside: bring it up, find it, tell it what to do, take it down."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common.errors import InvalidInputError, StreamscoreError
from streamscore.local import clients, processes
from streamscore.local.folder import DAEMON, ERROR_FILE, LOCK_FILE, PROCESSES_FILE, STACK_FILE, Options
from streamscore.local.processes import ProcessIdentity

NAME = "streamscore-local"
UP_WITHIN_S = 180.0  # a second or two, but for a machine with far too much to do
_PROJECT = Path(__file__).resolve().parents[2]


class StackError(StreamscoreError):
    """The local stack could not come up, or refused a command; the message says why."""


@dataclass(frozen=True)
class Stack:
    """A local stack that is up."""

    name: str
    endpoint: str
    region: str
    outputs: dict[str, str]
    state_dir: Path
    hub_url: str = field(repr=False)
    supervisor: ProcessIdentity

    def client(self, service: str) -> Any:
        """A boto3 client of the emulator."""
        return clients.client(service, self.endpoint, self.region)

    def start(self) -> None:
        """Begin polling: records reach the functions. Their processes are started first."""
        self._command("start")

    def stop(self) -> None:
        """Pause polling; checkpoints are kept."""
        self._command("stop")

    def drain(self, timeout_s: float = 60.0) -> None:
        """Return when every stream is worked off, windows are closed and metrics published.

        Raises StackError when that takes longer than `timeout_s`. Polling must have been started.
        """
        self._command("drain", timeout_s + 10, timeout_s=timeout_s)

    def stats(self) -> dict[str, Any]:
        """What each mapping has done, and the functions' process ids."""
        stats: dict[str, Any] = self._command("stats")
        return stats

    def _command(self, name: str, within_s: float = 60.0, **request: Any) -> Any:
        body = json.dumps(request).encode()
        try:
            with urllib.request.urlopen(f"{self.hub_url}/{name}", body, timeout=within_s) as reply:  # noqa: S310
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise StackError(json.load(error).get("error", f"{name} was refused")) from error
        except OSError as error:
            raise StackError(
                f"the local stack does not answer ({error}); run `streamscore local down`"
            ) from error


def up(  # noqa: PLR0913 - each by its name
    root: Path,
    *,
    code: Path | None = None,
    spec: Path | None = None,
    port: int = 4566,
    shards: int = 1,
    pace: str = "local",
    window_s: int | None = None,
    detached: bool = True,
) -> Stack:
    """Bring up the stack of the project's template with its state under `root`/.local, not polling yet.

    `pace` is a key of `pace.PACES`. With `window_s` the monitor's windows are so long instead of as deployed,
    and the caller asks for its looks: see `overlay.hurry`.

    Detached it outlives this process; otherwise it dies with it. Port 0 takes a free one. What a killed stack
    left is ended and removed first. Raises InvalidInputError if one is up, StackError if it cannot come up.
    """
    state_dir = root.resolve() / ".local"
    if _read(state_dir) is not None:
        raise InvalidInputError("a local stack is up already; `streamscore local down` ends it")
    if _is_coming_up(state_dir):
        raise InvalidInputError(
            "a local stack is coming up here; wait for it, or run `streamscore local down`"
        )
    _clear(state_dir)
    (state_dir / "logs").mkdir(parents=True, exist_ok=True)
    options = Options(
        state_dir=str(state_dir),
        name=NAME,
        template=str(_PROJECT / "template.yaml"),
        code=str((code or _PROJECT / "src").resolve()),
        spec=str(spec.resolve()) if spec else None,
        port=port,
        shards=shards,
        pace=pace,
        window_s=window_s,
    )
    return _wait_until_up(state_dir, _launch(options, state_dir, detached))


def load(root: Path) -> Stack:
    """The stack that is up under `root`; raises InvalidInputError if none is."""
    stack = _read(root.resolve() / ".local")
    if stack is None:
        raise InvalidInputError(
            "no local stack is up: run `streamscore local up`, or name a deployed one with --stage"
        )
    return stack


def down(root: Path) -> bool:
    """End the stack, and what a killed one left; returns whether one was up. Its data is gone, logs stay."""
    state_dir = root.resolve() / ".local"
    stack = _read(state_dir)
    if stack is not None:
        stack.supervisor.end()
    _end_recorded(state_dir)
    return stack is not None


def status(root: Path) -> dict[str, Any]:
    """Whether a stack is up, and if so its endpoint, outputs, processes and streams."""
    stack = _read(root.resolve() / ".local")
    if stack is None:
        return {"up": False}
    return {"up": True, "endpoint": stack.endpoint, "outputs": stack.outputs, **stack.stats()}


def _read(state_dir: Path) -> Stack | None:
    path = state_dir / STACK_FILE
    if not path.exists():
        return None
    document = json.loads(path.read_text())
    supervisor = ProcessIdentity(**document.pop("supervisor"))
    return Stack(**document, state_dir=state_dir, supervisor=supervisor) if supervisor.alive() else None


def _is_coming_up(state_dir: Path) -> bool:
    path = state_dir / LOCK_FILE
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _launch(options: Options, state_dir: Path, detached: bool) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "streamscore.local.supervisor", json.dumps(asdict(options))]
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") or k == DAEMON}
    with (state_dir / "logs/supervisor.log").open("wb") as output:
        if not detached:
            return processes.spawn(command, cwd=state_dir, env=env, output=output)
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=state_dir,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _wait_until_up(state_dir: Path, process: "subprocess.Popen[bytes]") -> Stack:
    try:
        deadline = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline:
            stack = _read(state_dir)
            if stack is not None:
                return stack
            if process.poll() is not None:
                raise StackError(_why(state_dir))
            time.sleep(0.02)
        raise StackError(f"the local stack did not come up within {UP_WITHIN_S:.0f} s; see {state_dir}/logs")
    except BaseException:  # Ctrl-C too: what does not come up must not stay
        processes.stop(process)
        raise


def _why(state_dir: Path) -> str:
    told = state_dir / ERROR_FILE
    return told.read_text() if told.exists() else f"the supervisor ended; see {state_dir}/logs/supervisor.log"


def _clear(state_dir: Path) -> None:
    """End what a killed supervisor left, and remove its state."""
    _end_recorded(state_dir)
    for name in (STACK_FILE, ERROR_FILE):
        (state_dir / name).unlink(missing_ok=True)
    for name in ("checkpoints", "emulator", "logs", "code", "jobs"):
        shutil.rmtree(state_dir / name, ignore_errors=True)


def _end_recorded(state_dir: Path) -> None:
    path = state_dir / PROCESSES_FILE
    if path.exists():
        for identity in json.loads(path.read_text()):
            ProcessIdentity(**identity).end()
        path.unlink()
