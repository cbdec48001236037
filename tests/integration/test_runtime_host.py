"""Functions run under AWS's own runtime client, and fail as they do on Lambda."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from streamscore.local.function_process import Function, Site
from streamscore.local.runtime_host import (
    MOST_PROCESSES,
    PayloadTooLargeError,
    RuntimeHost,
    ThrottledError,
)
from tests.conftest import poll_until

CODE = """
import os, subprocess, sys, time, json
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
        case "leave":
            child = subprocess.Popen(["sleep", "600"])
            print("child", child.pid, flush=True)
            time.sleep(60)
        case "wait":
            print("waiting", flush=True)
            while not os.path.exists(event["until"]): time.sleep(0.01)
    return {"pid": os.getpid()}
"""

# As CloudWatch shows it: https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
REPORT = re.compile(
    r"REPORT RequestId: [0-9a-f-]{36}\tDuration: (?P<duration>[\d.]+) ms\tBilled Duration: (?P<billed>\d+) ms"
    r"\tMemory Size: 256 MB\tMax Memory Used: (?P<used>\d+) MB(\tInit Duration: [\d.]+ ms)?"
)


@pytest.fixture
def told() -> list[tuple[str, dict[str, float]]]:
    """Metrics of functions."""
    return []


@pytest.fixture
def host(tmp_path: Path, told: list[tuple[str, dict[str, float]]]) -> Iterator[RuntimeHost]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/f.py").write_text(CODE)
    (tmp_path / "code/broken.py").write_text("raise RuntimeError('at import')")
    handlers = {
        "echo": "f.echo",
        "misbehave": "f.misbehave",
        "greedy": "f.misbehave",
        "patient": "f.misbehave",
        "large": "f.echo",
        "broken": "broken.handler",
        "absent": "absent.handler",
    }
    made = RuntimeHost(
        [
            Function(
                name,
                f"arn:aws:lambda:us-east-1:000000000000:function:{name}",
                handler,
                30
                if name in {"greedy", "patient", "large"}
                else 1,  # theirs is another end, however busy the machine
                256,
                {"STATE_TABLE": "t"},
            )
            for name, handler in handlers.items()
        ],
        Site(tmp_path / "code", "http://127.0.0.1:1", "us-east-1", tmp_path / "logs"),
        tell=lambda _dimension, of, **metrics: told.append((of, metrics)),
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
    invoked = ["START", "heard", "END", "REPORT"]
    assert [line.split()[0] for line in lines] == ["INIT_START", *invoked, *invoked]
    assert lines[0] == f"INIT_START Runtime Version: python:3.{sys.version_info.minor}"
    report = REPORT.fullmatch(lines[4])
    assert report and 10 < int(report["used"]) < 256
    assert float(report["duration"]) <= float(report["billed"])
    assert "Init Duration" in lines[4]
    assert "Init Duration" not in lines[8]


def log_of(tmp_path: Path, name: str) -> list[str]:
    return (tmp_path / f"logs/{name}.log").read_text().splitlines()


@pytest.mark.parametrize(
    ("how", "name", "words", "status", "used"),
    [
        ("sleep", "misbehave", "Task timed out after 1.00 seconds", "Status: timeout", r"\d+"),
        ("exit", "misbehave", "exit status 3", "Status: error\tError Type: Runtime.ExitError", r"\d+"),
        ("grow", "greedy", "signal: killed", "Status: error\tError Type: Runtime.ExitError", "256"),
    ],
)
def test_the_log_tells_how_a_process_ended(  # noqa: PLR0917
    host: RuntimeHost, tmp_path: Path, how: str, name: str, words: str, status: str, used: str
) -> None:
    call(host, name, how=how)
    host.close()
    *_, said, end, report = log_of(tmp_path, name)
    assert words in said
    assert end.startswith("END RequestId: ")
    assert re.search(rf"Max Memory Used: {used} MB\t(Init Duration: [\d.]+ ms\t)?{status}$", report), report


def test_an_init_error_is_logged_and_each_invocation_tries_anew(host: RuntimeHost, tmp_path: Path) -> None:
    for _ in range(2):
        call(host, "broken")
    host.close()
    lines = [line for line in log_of(tmp_path, "broken") if line.startswith("INIT_")]
    assert [line.split()[0] for line in lines] == ["INIT_START", "INIT_REPORT"] * 2
    assert lines[1].endswith("Phase: init\tStatus: error\tError Type: RuntimeError")


def test_a_time_out_ends_what_the_function_started_too(host: RuntimeHost, tmp_path: Path) -> None:
    assert call(host, "misbehave", how="leave")["errorType"] == "Sandbox.Timedout"
    host.close()
    (child,) = [int(line.split()[1]) for line in log_of(tmp_path, "misbehave") if line.startswith("child")]
    poll_until(lambda: not is_running(child), "the child is gone")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_events_at_a_time_run_in_two_processes_each_with_a_cold_start(
    host: RuntimeHost, tmp_path: Path
) -> None:
    until = tmp_path / "until"
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(call, host, "patient", how="wait", until=str(until)) for _ in range(2)]
        poll_until(lambda: log_of(tmp_path, "patient").count("waiting") == 2, "both run")
        until.touch()
        pids = {future.result()["pid"] for future in waiting}
    assert len(pids) == 2
    assert call(host, "patient", how="not")["pid"] in pids
    assert set(host.pids()["patient"]) == pids
    host.close()
    reports = [line for line in log_of(tmp_path, "patient") if line.startswith("REPORT")]
    assert ["Init Duration" in report for report in reports] == [True, True, False]


def test_beyond_its_reserved_concurrency_a_function_is_throttled(
    host: RuntimeHost, tmp_path: Path, told: list[tuple[str, dict[str, float]]]
) -> None:
    until = tmp_path / "until"
    host.reserve("patient", 1)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(call, host, "patient", how="wait", until=str(until))
        poll_until(lambda: "waiting" in log_of(tmp_path, "patient"), "it runs")
        with pytest.raises(ThrottledError, match="Rate exceeded: the reserved concurrency is 1"):
            call(host, "patient", how="not")
        until.touch()
        running.result()
    assert "pid" in call(host, "patient", how="not")
    host.reserve("patient", 0)
    with pytest.raises(ThrottledError):
        call(host, "patient", how="not")
    assert [metrics.get("Throttles") for _, metrics in told] == [1, 0, 0, 1]
    assert [metrics.get("Invocations", 0) for _, metrics in told] == [0, 1, 1, 0]


def test_more_events_than_the_machine_has_processes_for_wait(host: RuntimeHost) -> None:
    with ThreadPoolExecutor(12) as threads:
        said = list(threads.map(lambda i: call(host, "echo", say=i)["say"], range(48)))
    assert said == list(range(48))
    assert len(host.pids()["echo"]) <= MOST_PROCESSES


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("raise", "ValueError", "no such thing"),
        ("exit", "Runtime.ExitError", "exit status 3"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("grow", "Runtime.ExitError", "signal: killed"),
        ("long", "Function.ResponseSizeTooLarge", "(7000002 bytes) exceeded maximum"),
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
    assert len(call(host, "large", say="x" * 6_000_000)["say"]) == 6_000_000


def test_close_leaves_no_process(host: RuntimeHost) -> None:
    pids = [call(host, "echo", say="a")["pid"], call(host, "misbehave", how="not")["pid"]]
    host.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)
