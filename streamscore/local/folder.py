"""What a stack's folder says of it: the options it is made with, and the names of its files.

Apart from what runs in the stack, so that a command which only finds one does not import all of it.
"""

from dataclasses import dataclass

STACK_FILE, ERROR_FILE, LOCK_FILE, PROCESSES_FILE = "stack.json", "error.txt", "lock", "processes.json"
DAEMON = "AWS_XRAY_DAEMON_ADDRESS"
"""Where it is set, an X-Ray daemon listens: functions are told of it, and every invocation is sampled."""


@dataclass(frozen=True)
class Options:
    """What a stack is made of. Paths are absolute."""

    state_dir: str
    name: str
    template: str
    code: str
    spec: str | None
    port: int
    shards: int = 1
    pace: str = "local"
    window_s: int | None = None
