"""One process of one function: AWS's own runtime client on a loopback Runtime API."""

import json
import os
import queue
import secrets
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from streamscore.local import processes
from streamscore.local.folder import DAEMON
from streamscore.local.function_log import FunctionLog
from streamscore.local.runtime_api import Answer, Event, Exited, InitFailed, Message, Ready, RuntimeApi

# Lambda allows 10 s and then starts over inside the invocation; a busy laptop gets more time instead.
INIT_WITHIN_S = 30.0
_MEMORY_CHECK_S = 0.05


@dataclass(frozen=True)
class Function:
    """What Lambda knows of a function."""

    name: str
    arn: str
    handler: str
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]
    log_name: str = ""  # of its log file, if not `name`
    reserved_concurrency: int | None = None


@dataclass(frozen=True)
class Site:
    """Where functions run: their code, the AWS they speak to, and where their logs go."""

    code_root: Path
    endpoint: str
    region: str
    log_dir: Path


@dataclass(frozen=True)
class Outcome:
    """What an invocation gave: the function's reply, or an error document in Lambda's shape.

    `refused`: Lambda did not run the function.
    """

    payload: bytes
    failed: bool
    refused: bool = False


class FunctionProcess:
    """A started process. `broken` once it cannot take another event; then close it and start another."""

    def __init__(self, function: Function, site: Site, log: FunctionLog) -> None:
        self.function = function
        self.broken = False
        self._log = log.stream()
        self._started = time.monotonic()
        self._init_ms: float | None = None
        self._init_error: Outcome | None = None
        self._peak_mb = 0.0
        self._api = RuntimeApi()
        env = {
            **environment(function, site),
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_LAMBDA_LOG_STREAM_NAME": self._log.name,
        }
        self._log.write(
            f"INIT_START Runtime Version: python:{sys.version_info.major}.{sys.version_info.minor}"
        )
        command = [sys.executable, "-m", "awslambdaric", function.handler]
        self._process = processes.spawn(command, cwd=site.code_root, env=env, output=self._log.pipe)
        self._rss = psutil.Process(self._process.pid)
        threading.Thread(target=self._watch, name=f"watch-{function.name}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs; an idle one may have been killed."""
        return self._process.poll() is None

    def initialise(self) -> None:
        """Wait until the handler is loaded, or has failed to; only once."""
        message = self._next(time.monotonic() + INIT_WITHIN_S)
        init_ms = (time.monotonic() - self._started) * 1000
        if isinstance(message, Ready):
            self._init_ms = init_ms
            return
        self.broken = True
        if isinstance(message, InitFailed):
            self._init_error = Outcome(message.body, failed=True)
        else:
            too_late = f"init did not end within {INIT_WITHIN_S:.0f} seconds"
            self._init_error = self._lost(message, str(uuid.uuid4()), too_late)
        kind = json.loads(self._init_error.payload).get("errorType", "Runtime.Unknown")
        self._log.cut()
        self._log.write(
            f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: init\tStatus: error\tError Type: {kind}"
        )

    def init_error(self) -> Outcome | None:
        """What the invocation that needed this process gets instead, if the handler could not be loaded."""
        return self._init_error

    def invoke(self, payload: bytes, request_id: str) -> Outcome:
        """Run one event; a time-out, an exit or too much memory breaks the process and is the outcome."""
        log, function = self._log, self.function
        log.write(f"START RequestId: {request_id} Version: $LATEST")
        started = time.monotonic()
        self._api.send(_event(function, payload, request_id))
        message = self._next(started + function.timeout_s)
        duration_ms = (time.monotonic() - started) * 1000
        status = ""
        if isinstance(message, Answer):
            self._measure()
            outcome = Outcome(message.body, message.failed)
        else:
            self.broken = True
            outcome = self._lost(message, request_id, f"Task timed out after {function.timeout_s}.00 seconds")
            error = json.loads(outcome.payload)
            log.cut()
            log.write(error["errorMessage"])
            kind = error["errorType"]
            status = "\tStatus: timeout" if message is None else f"\tStatus: error\tError Type: {kind}"
        log.write(f"END RequestId: {request_id}")
        log.write(self._report(request_id, duration_ms) + status)
        return outcome

    def close(self) -> None:
        """End the process; returns when it is gone. Its log stays open for an invocation that still ends."""
        processes.stop(self._process, grace_s=0.5)
        self._api.close()

    def close_log(self) -> None:
        """Write what is left of its log; call when it is closed and runs nothing."""
        self._log.close()

    def _watch(self) -> None:
        self._api.messages.put(Exited(self._process.wait()))

    def _next(self, deadline: float) -> Message | None:
        """What the process says next; None when it said nothing before `deadline` or outgrew its memory."""
        while (left := deadline - time.monotonic()) > 0:
            try:
                return self._api.messages.get(timeout=min(left, _MEMORY_CHECK_S))
            except queue.Empty:
                if self._measure() > self.function.memory_mb:
                    processes.kill(self._process)  # the Exited message that follows says so
        processes.kill(self._process)
        return None

    def _measure(self) -> float:
        """Its memory now, in MB; the most of it is what REPORT tells."""
        try:
            now_mb = float(self._rss.memory_info().rss) / 2**20
        except psutil.NoSuchProcess:
            return 0.0
        self._peak_mb = max(self._peak_mb, now_mb)
        return now_mb

    def _lost(self, message: Message | None, request_id: str, too_late: str) -> Outcome:
        match message:
            case Exited(code=code) if code < 0:
                kind, text = "Runtime.ExitError", f"Runtime exited with error: signal: {_signal_name(-code)}"
            case Exited(code=0):
                kind, text = "Runtime.ExitError", "Runtime exited without providing a reason"
            case Exited(code=code):
                kind, text = "Runtime.ExitError", f"Runtime exited with error: exit status {code}"
            case _:
                kind, text = "Sandbox.Timedout", too_late
        document = {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {text}"}
        return Outcome(json.dumps(document).encode(), failed=True)

    def _report(self, request_id: str, duration_ms: float) -> str:
        init_ms, self._init_ms = self._init_ms, None
        used_mb = min(self._peak_mb, self.function.memory_mb)  # Lambda's never tells more than the limit
        cold = f"\tInit Duration: {init_ms:.2f} ms" if init_ms is not None else ""
        return (
            f"REPORT RequestId: {request_id}\tDuration: {duration_ms:.2f} ms\t"
            f"Billed Duration: {-(-(duration_ms + (init_ms or 0)) // 1):.0f} ms\t"
            f"Memory Size: {self.function.memory_mb} MB\tMax Memory Used: {used_mb:.0f} MB{cold}"
        )


def _signal_name(number: int) -> str:
    return {9: "killed", 11: "segmentation fault", 15: "terminated", 6: "aborted"}.get(number, str(number))


def _event(function: Function, payload: bytes, request_id: str) -> Event:
    now_s = time.time()
    sampled = int(DAEMON in os.environ)
    trace_id = (
        f"Root=1-{int(now_s):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled={sampled}"
    )
    return Event(request_id, payload, int((now_s + function.timeout_s) * 1000), function.arn, trace_id)


def environment(function: Function, site: Site) -> dict[str, str]:
    """What the process sees: Lambda's reserved variables, test credentials, and the function's own on top."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": str(site.code_root),
        "LAMBDA_TASK_ROOT": str(site.code_root),
        "_HANDLER": function.handler,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": site.region,
        "AWS_DEFAULT_REGION": site.region,
        "AWS_ACCESS_KEY_ID": function.log_name
        or function.name,  # the emulator's trail tells them apart by it
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": site.endpoint,
        "POWERTOOLS_TRACE_DISABLED": "true",  # that is common/tracing.py's work
        **({DAEMON: os.environ[DAEMON]} if DAEMON in os.environ else {}),
        **{k: v for k, v in function.environment.items() if k != "MINISTACK_LAMBDA_PROXY_URL"},
    }
