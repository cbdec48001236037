"""What functions learn from their environment."""

from pathlib import Path

import pytest

from common.errors import InvalidInputError
from common.settings import Settings, code_root

ENVIRON = {
    "STAGE": "dev",
    "STACK_NAME": "streamscore-local",
    "STATE_TABLE": "state",
    "DECISIONS_TABLE": "decisions",
    "MONITOR_TABLE": "windows",
    "DATA_BUCKET": "bucket",
    "EVENT_BUS": "bus",
    "UNPUBLISHED_QUEUE": "https://queue",
    "EVENTS_STREAM": "events",
    "POINTER_PREFIX": "/streamscore/streamscore-local",
    "POINTERS_REREAD_S": "60",
    "LOG_KEY_SECRET": "secret",
    "POWERTOOLS_SERVICE_NAME": "stream_features",
}


def test_settings_are_the_environment_by_name():
    settings = Settings.from_environ({**ENVIRON, "UNRELATED": "x"})
    assert (settings.state_table, settings.service) == ("state", "stream_features")


def test_every_missing_variable_is_named():
    with pytest.raises(InvalidInputError, match="STAGE, STATE_TABLE"):
        Settings.from_environ({k: v for k, v in ENVIRON.items() if k not in {"STAGE", "STATE_TABLE"}})


def test_the_code_root_is_lambdas_or_the_clones_src():
    assert code_root({"LAMBDA_TASK_ROOT": "/var/task"}) == Path("/var/task")
    assert (code_root({}) / "common" / "settings.py").exists()
