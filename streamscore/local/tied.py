"""Become a command that the kernel ends when its parent is gone (on Linux; elsewhere just the command).

    python -I -S tied.py PARENT_PID COMMAND ARGUMENT...

The death signal survives exec, so what runs afterwards is the command itself, under the same process id.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Replace this process by `command`; returns only by raising OSError."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before the line above
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
