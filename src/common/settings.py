"""What the template tells a function through its environment, read once at the edge."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Settings:
    """The names of one stack's resources, as the template gives them to every function."""

    stage: str
    stack_name: str
    state_table: str
    decisions_table: str
    monitor_table: str
    data_bucket: str
    event_bus: str
    unpublished_queue: str
    events_stream: str
    pointer_prefix: str
    pointers_reread_s: str
    log_key_secret: str
    service: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Settings from environment variables; raises InvalidInputError that names every missing one."""
        variables = {field: _VARIABLES.get(field, field.upper()) for field in cls.__slots__}
        missing = [name for name in variables.values() if name not in environ]
        if missing:
            raise InvalidInputError(
                f"environment: {', '.join(missing)} not set; the template sets them for every function"
            )
        return cls(**{field: environ[name] for field, name in variables.items()})


_VARIABLES = {"service": "POWERTOOLS_SERVICE_NAME"}


def code_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the packages, features.toml and policy.toml: `/var/task` on Lambda, `src` in a clone."""
    task_root = environ.get("LAMBDA_TASK_ROOT")
    return Path(task_root) if task_root else Path(__file__).resolve().parents[1]
