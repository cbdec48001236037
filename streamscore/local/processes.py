"""Child processes that cannot outlive us, and a record of them for whoever comes after a kill -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

# The kernel's death signal follows the *thread* that forked: one thread, living as long as we do, forks all.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


def spawn(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start `command` (absolute path first), its output to `output`; it dies when this process does."""
    tied = [sys.executable, "-I", "-S", str(Path(__file__).with_name("tied.py")), str(os.getpid())]

    def fork() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            [*tied, *command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us alone; we end our children in order
        )

    return _forker.submit(fork).result()


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to it and to whatever it started, which share a session; nothing if it has ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def stop(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """SIGTERM, and SIGKILL to a process that has not ended `grace_s` later. Returns when it is gone."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            kill(process)
    process.wait()


@dataclass(frozen=True)
class ProcessIdentity:
    """A process id with its start time: an id alone may by now belong to a stranger."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """Identify a living process; raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def alive(self) -> bool:
        """Whether that very process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started_at and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def end(self, grace_s: float = 10.0) -> None:
        """SIGTERM, then SIGKILL; nothing if it has already ended. Returns when it is gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                return
            process = psutil.Process(self.pid)
            process.send_signal(number)
            psutil.wait_procs([process], timeout=grace_s)
