"""What every test may use: a bare emulator, clients for it, and a wait for what other processes do."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from streamscore.local import emulator as emulators
from streamscore.local import stack as stacks
from tests import emptied, profiles

profiles.register()
# Before scikit-learn is imported, and for every process that a test starts: the workers use all processors
# as it is, and OpenMP's threads spin while they wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are known by their places: gzip writes the time into some, and workers must name tests alike."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulators.Emulator]:
    """A bare emulator with our mends, shared by the session: name your tables and streams uniquely."""
    running = emulators.start(tmp_path_factory.mktemp("emulator"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(emulator: emulators.Emulator) -> Callable[[str], Any]:
    """Make a boto3 client of the emulator: `client("dynamodb")`."""
    return lambda service: client_of(emulator.endpoint, service)


def client_of(endpoint: str, service: str) -> Any:
    """A boto3 client for an emulator's endpoint."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=emulators.REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
    )


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Poll a condition that another process will fulfil: `wait_until(lambda: done(), "what was awaited")`."""
    return poll_until


def poll_until(condition: Callable[[], object], what: str, within_s: float = 15.0) -> None:
    """Return once `condition()` is true; fail with `what` when it is not within `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Stack]:
    """For `stack` alone."""
    root = tmp_path_factory.mktemp("stack")
    yield stacks.up(root, port=0, detached=False)
    stacks.down(root)


@pytest.fixture(scope="module")
def stack(shared_stack: stacks.Stack) -> Iterator[stacks.Stack]:
    """The whole template with its functions, not polling until a test calls `stack.start()`.

    Modules share it; none meets what another left in its tables, its bucket or its parameters.
    """
    objects, parameters = emptied.objects(shared_stack), emptied.parameters(shared_stack)
    yield shared_stack
    shared_stack.stop()
    emptied.clear(shared_stack, objects, parameters)


@pytest.fixture
def polling(stack: stacks.Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stack's mappings poll, and commands find it."""
    monkeypatch.chdir(stack.state_dir.parent)
    stack.start()
    yield
    stack.stop()
