"""Functions run under AWS's own runtime client, and fail as they do on Lambda."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from streamscore.local.function_process import Function, Site
from streamscore.local.runtime_host import PayloadTooLargeError, RuntimeHost
from tests.conftest import poll_until

CODE = """
import os, sys, time, json
calls = 0

def echo(event, context):
    global calls
    calls += 1
    print("heard", event["say"])
    return {"say": event["say"], "calls": calls, "pid": os.getpid(), "cwd": os.getcwd(),
            "name": context.function_name, "memory": context.memory_limit_in_mb,
            "left_ms": context.get_remaining_time_in_millis(), "table": os.environ["STATE_TABLE"],
            "endpoint": os.environ["AWS_ENDPOINT_URL"], "group": context.log_group_name}

def misbehave(event, context):
    match event["how"]:
        case "raise": raise ValueError("no such thing")
        case "exit": os._exit(3)
        case "sleep": time.sleep(60)
        case "grow": kept = [bytearray(2**24) for _ in range(60)]; time.sleep(60)
        case "long": return "x" * 7_000_000
    return {"pid": os.getpid()}
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RuntimeHost]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/f.py").write_text(CODE)
    (tmp_path / "code/broken.py").write_text("raise RuntimeError('at import')")
    handlers = {
        "echo": "f.echo",
        "misbehave": "f.misbehave",
        "greedy": "f.misbehave",
        "broken": "broken.handler",
        "absent": "absent.handler",
    }
    made = RuntimeHost(
        [
            Function(
                name,
                f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
                handler,
                30 if name == "greedy" else 1,  # its end is the memory limit, however busy the machine
                256,
                {"STATE_TABLE": "t"},
            )
            for name, handler in handlers.items()
        ],
        Site(tmp_path / "code", "http://127.0.0.1:1", "us-east-1", tmp_path / "logs"),
    )
    yield made
    made.close()


def call(host: RuntimeHost, name: str, **event: Any) -> Any:
    return json.loads(host.invoke(name, json.dumps(event).encode()).payload)


def test_a_function_gets_its_event_context_and_environment(host: RuntimeHost, tmp_path: Path) -> None:
    reply = call(host, "echo", say="tĕst")
    assert reply["say"] == "tĕst"
    assert (reply["name"], reply["memory"], reply["group"]) == ("echo", "256", "/aws/lambda/echo")
    assert (reply["table"], reply["endpoint"]) == ("t", "http://127.0.0.1:1")
    assert reply["cwd"] == str(tmp_path / "code")
    assert 500 < reply["left_ms"] <= 1000


def test_one_process_serves_one_function_and_keeps_its_memory(host: RuntimeHost) -> None:
    first, second = call(host, "echo", say="a"), call(host, "echo", say="b")
    assert (second["pid"], second["calls"]) == (first["pid"], first["calls"] + 1)


def test_the_log_has_what_was_printed_between_start_and_report(host: RuntimeHost, tmp_path: Path) -> None:
    call(host, "echo", say="1")
    call(host, "echo", say="2")
    host.close()
    lines = (tmp_path / "logs/echo.log").read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["START", "heard", "END", "REPORT"] * 2
    assert "Init Duration" in lines[3]
    assert "Init Duration" not in lines[7]


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("raise", "ValueError", "no such thing"),
        ("exit", "Runtime.ExitError", "exit status 3"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("grow", "Runtime.ExitError", "signal: killed"),
        ("long", "Function.ResponseSizeTooLarge", "exceeded maximum"),
    ],
)
def test_a_failure_is_told_as_on_lambda_and_the_next_event_is_served(
    host: RuntimeHost, how: str, kind: str, words: str
) -> None:
    name = "greedy" if how == "grow" else "misbehave"
    before = call(host, name, how="not")["pid"]
    error = call(host, name, how=how)
    assert error["errorType"] == kind
    assert words in error["errorMessage"]
    after = call(host, name, how="not")["pid"]
    assert (after == before) is (how in {"raise", "long"})


@pytest.mark.parametrize(
    ("name", "kind"), [("broken", "RuntimeError"), ("absent", "Runtime.ImportModuleError")]
)
def test_an_init_error_is_the_outcome_of_each_invocation(host: RuntimeHost, name: str, kind: str) -> None:
    assert [call(host, name)["errorType"] for _ in range(2)] == [kind, kind]


def test_an_idle_process_that_was_killed_is_replaced(host: RuntimeHost) -> None:
    pid = call(host, "echo", say="a")["pid"]
    os.kill(pid, signal.SIGKILL)
    poll_until(lambda: not psutil.pid_exists(pid), "the process is reaped")
    assert call(host, "echo", say="b")["say"] == "b"


def test_an_event_above_six_megabytes_is_refused(host: RuntimeHost) -> None:
    with pytest.raises(PayloadTooLargeError):
        host.invoke("echo", b" " * (6 * 2**20 + 1))
    assert len(call(host, "echo", say="x" * 6_000_000)["say"]) == 6_000_000


def test_close_leaves_no_process(host: RuntimeHost) -> None:
    pids = [call(host, "echo", say="a")["pid"], call(host, "misbehave", how="not")["pid"]]
    host.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
