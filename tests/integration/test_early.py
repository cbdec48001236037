"""The model is there before the first event; a start that cannot load it is a start all the same.

Each test starts Lambda's own runtime client in a fresh process, on a Runtime API that the test answers.
"""

import functools
import http.server
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from common.keepalive import KeepAlive
from scoring.early import load_early
from scoring.pointers import CHALLENGER, POLICY, Version
from streamscore.training import pointers
from tests.faulty_edge import Edge, Fault, Silent
from tests.integration.scoring_stack import ScoringStack, fresh_stack

SRC = Path(__file__).resolve().parents[2] / "src"
WITHIN_S = 30
HEALTH = {"rawPath": "/health", "requestContext": {"http": {"method": "GET"}}, "routeKey": "GET /health"}


class Lambda(http.server.ThreadingHTTPServer):
    """The Runtime API with SnapStart, and the credentials endpoint beside it.

    What the process asks for comes out of `asked`; it waits until it is answered with what is put into
    `answers`. Keys are given at once, and numbered.
    """

    daemon_threads, block_on_close = True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.keys_given = 0
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A process that was killed says nothing more."""

    def next(self) -> tuple[str, Any]:
        """What is asked next, and the body that came with it."""
        path, body = self.asked.get(timeout=WITHIN_S)
        return path.removeprefix("/2018-06-01/runtime/"), json.loads(body) if body else None

    def keys(self) -> bytes:
        self.keys_given += 1
        until = datetime.now(UTC) + timedelta(hours=6)
        keys = {"AccessKeyId": f"key{self.keys_given}", "SecretAccessKey": "s", "Token": "t"}
        return json.dumps(keys | {"Expiration": until.isoformat()}).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Lambda

    def do_GET(self) -> None:
        if self.path == "/keys":
            self._reply(self.server.keys())
            return
        self.server.asked.put((self.path, b""))
        self._reply(self.server.answers.get())

    def do_POST(self) -> None:
        self.server.asked.put((self.path, self._body()))
        self._reply(b"{}", 202)

    def _body(self) -> bytes:
        if length := self.headers["Content-Length"]:
            return self.rfile.read(int(length))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _reply(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "one")
        self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f")
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def lambda_() -> Iterator[Lambda]:
    made = Lambda()
    yield made
    made.shutdown()
    made.server_close()


stack = fresh_stack


class Started:
    """A function process that was started, and what it says."""

    def __init__(self, stack: ScoringStack, lambda_: Lambda, handler: str, **environment: str | None) -> None:
        settings = {name.upper(): getattr(stack.settings, name) for name in type(stack.settings).__slots__}
        address = f"127.0.0.1:{lambda_.server_port}"
        everything: dict[str, str | None] = {
            **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
            **settings,
            "POWERTOOLS_SERVICE_NAME": "scoring",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SRC),
            "LAMBDA_TASK_ROOT": str(stack.code),
            "_HANDLER": handler,
            "AWS_LAMBDA_RUNTIME_API": address,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            **environment,
        }
        given = {name: value for name, value in everything.items() if value is not None}
        command = [sys.executable, "-m", "awslambdaric", handler]
        self._process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE)

    def said(self) -> str:
        """Everything it said; ends it."""
        self._process.kill()
        out, _ = self._process.communicate()
        return out.decode()


def asked_of_health(lambda_: Lambda) -> dict[str, Any]:
    """The answer to GET /health by a process that waits for an event."""
    lambda_.answers.put(json.dumps(HEALTH).encode())
    path, reply = lambda_.next()
    assert path == "invocation/one/response", reply
    body: dict[str, Any] = json.loads(reply["body"])
    return body


@pytest.mark.parametrize("handler", ["scoring.handler.handler", "scoring.api.handler"])
def test_the_model_is_loaded_when_the_first_event_is_asked_for(stack, lambda_, tmp_path, handler):
    version = stack.promote(tmp_path / "bundle")
    started = Started(stack, lambda_, handler)
    assert lambda_.next() == ("invocation/next", None)
    said = started.said()
    assert f'"version":"{version}"' in said
    assert "champion taken into use" in said
    assert '"ModelSwapped"' in said, "what is counted in INIT is not lost"


def test_a_start_that_reaches_nothing_starts_all_the_same(stack, lambda_):
    started = Started(stack, lambda_, "scoring.api.handler", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert lambda_.next() == ("invocation/next", None)
    assert asked_of_health(lambda_)["absent"] == "model_unavailable"
    assert "pointers not read" in started.said()


def test_a_bucket_that_hangs_is_waited_for_once_and_not_for_each_object(stack, tmp_path, monkeypatch):
    """Champion, the one before it, challenger and policy, 4 s each, would be more than INIT has."""
    stack.promote(tmp_path / "bundle")
    last = stack.promote(tmp_path / "other", seed=1)
    ssm, prefix = stack.client("ssm"), stack.settings.pointer_prefix
    for name in (CHALLENGER, POLICY):
        pointers.point(ssm, prefix, Version("0" * 16, "0" * 64), "test", name)
    with Silent() as bucket, monkeypatch.context() as hanging:
        hanging.setattr("common.s3_client.KeepAlive", functools.partial(KeepAlive, read_timeout_s=0.05))
        hanging.setenv("AWS_ENDPOINT_URL_S3", bucket.url)
        wiring = stack.wired()
        load_early("scoring.api", lambda: wiring, environ={"_HANDLER": "scoring.api.handler"})
        assert bucket.asked() == 1
        assert wiring.serving.current().absent == "model_unavailable"
        assert bucket.asked() == 1
    assert stack.wired().serving.current().model.version == last


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.THROTTLED, Fault.REFUSED])
def test_what_could_not_be_loaded_early_is_loaded_with_the_first_event(
    stack, lambda_, tmp_path, emulator, fault
):
    version = stack.promote(tmp_path / "bundle")
    faults = iter([fault])
    edge = Edge(emulator.endpoint, lambda operation: next(faults, Fault.NONE))
    started = Started(stack, lambda_, "scoring.api.handler", AWS_ENDPOINT_URL_SSM=edge.endpoint)
    assert lambda_.next() == ("invocation/next", None)
    assert edge.calls == {"GetParameters": 1}
    assert asked_of_health(lambda_)["model"] == version
    assert edge.calls == {"GetParameters": 2}
    started.said()
    edge.stop()


def test_an_environment_that_lacks_something_fails_at_the_event_and_says_what(stack, lambda_):
    Started(stack, lambda_, "scoring.api.handler", STATE_TABLE=None)
    assert lambda_.next() == ("invocation/next", None)
    lambda_.answers.put(json.dumps(HEALTH).encode())
    path, reply = lambda_.next()
    assert path == "invocation/one/error"
    assert "STATE_TABLE" in reply["errorMessage"]


def test_an_entry_that_is_merely_imported_reads_nothing():
    code = "import scoring.api, scoring.handler"
    environment = {"PYTHONPATH": str(SRC), "PATH": os.environ["PATH"], "_HANDLER": "monitor.handler.handler"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_restored_snapshot_has_new_keys_and_obeys_the_pointers_of_today(stack, lambda_, tmp_path):
    old = stack.promote(tmp_path / "old")
    started = Started(
        stack,
        lambda_,
        "scoring.api.handler",
        AWS_ACCESS_KEY_ID=None,
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"http://127.0.0.1:{lambda_.server_port}/keys",
        AWS_CONTAINER_AUTHORIZATION_TOKEN="let me in",
    )
    assert lambda_.next() == ("restore/next", None)
    assert lambda_.keys_given == 1, "one for all clients"
    new = stack.promote(tmp_path / "new", seed=1)
    assert new != old
    lambda_.answers.put(b"")
    assert lambda_.next() == ("invocation/next", None)
    assert asked_of_health(lambda_)["model"] == new
    assert lambda_.keys_given == 2
    said = started.said()
    assert said.index(old) < said.index(new)
