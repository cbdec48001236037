"""The process that owns a local stack: emulator, functions, poller. It ends them all when it is told to end.

    python -m streamscore.local.supervisor OPTIONS_AS_JSON

In the state folder it writes stack.json when it is ready, or error.txt saying why it cannot be.
"""

import fcntl
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common.errors import StreamscoreError
from stream_features import spec as specs
from streamscore.local import emulator as emulators
from streamscore.local.clients import client
from streamscore.local.code import copy_code
from streamscore.local.deploy import Deployed, deploy
from streamscore.local.emf import MetricPublisher
from streamscore.local.function_process import Outcome, Site
from streamscore.local.http_api import NOT_FOUND, Request, Response, event_of, response_of, routes_of
from streamscore.local.hub import Api, Hub
from streamscore.local.poller import Poller
from streamscore.local.processes import ProcessIdentity
from streamscore.local.runtime_host import RuntimeHost
from streamscore.local.streams import Stream, open_stream
from streamscore.local.template import read_template

log = logging.getLogger(__name__)

STACK_FILE, ERROR_FILE, LOCK_FILE, PROCESSES_FILE = "stack.json", "error.txt", "lock", "processes.json"


@dataclass(frozen=True)
class Options:
    """What a stack is made of. Paths are absolute."""

    state_dir: str
    name: str
    template: str
    code: str
    spec: str | None
    port: int


class Supervisor:
    """A local stack while it is up: made by `with`, which ends everything on the way out."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._state_dir = Path(options.state_dir)
        self._exits = ExitStack()
        self.over = threading.Event()

    def __enter__(self) -> "Supervisor":
        """Start everything; on an error nothing is left running."""
        with ExitStack() as undo:
            self._exits = undo
            self._bring_up()
            self._exits = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything, the emulator last."""
        (self._state_dir / STACK_FILE).unlink(missing_ok=True)
        self._exits.close()

    def _bring_up(self) -> None:
        options, state_dir = self._options, self._state_dir
        self._record_processes()
        code_root = state_dir / "code"
        copy_code(Path(options.code), code_root, Path(options.spec) if options.spec else None)
        spec = specs.parse(
            (code_root / "features.toml").read_text(encoding="utf-8"), options.spec or "features.toml"
        )
        emulator = emulators.start(state_dir / "emulator", options.port)
        self._exits.callback(emulator.stop)
        self._record_processes(emulator.process.pid)
        threading.Thread(target=self._watch, args=(emulator,), name="emulator-watch", daemon=True).start()
        hub = Hub()
        self._exits.callback(hub.close)
        clients = _cached_clients(emulator.endpoint)
        deployed = deploy(clients, options.name, Path(options.template), f"{hub.url}/invoke")
        clients("s3").put_object(
            Bucket=deployed.outputs["DataBucketName"],
            Key=f"specs/{spec.sha256}.json",
            Body=specs.to_json(spec),
        )
        metrics = MetricPublisher(clients("cloudwatch"))
        self._exits.callback(metrics.close)
        site = Site(code_root, emulator.endpoint, emulators.REGION, state_dir / "logs")
        host = RuntimeHost(deployed.functions, site, lambda _name, line: metrics.offer(line))
        poller = Poller(
            deployed.mappings, _World(emulator.endpoint, host, clients("s3")), state_dir / "checkpoints"
        )
        for undo in (
            poller.close,
            host.close,
            poller.pause,
        ):  # run from the last: lanes do not wait for functions
            self._exits.callback(undo)
        hub.invoke = host.invoke
        hub.api = _api(options.template, deployed, host)
        hub.commands = _commands(deployed, host, poller, metrics)
        self._tell_ready(deployed, emulator.endpoint, hub.url)

    def _watch(self, emulator: emulators.Emulator) -> None:
        code = emulator.process.wait()
        if not self.over.is_set():
            log.error("the emulator ended with code %d; ending too", code)
            self.over.set()

    def _record_processes(self, *pids: int) -> None:
        """For the next `up`, should we be killed where children do not die with their parent.

        Function processes need no record: without us their Runtime API is gone, and they exit.
        """
        identities = [asdict(ProcessIdentity.of(pid)) for pid in (os.getpid(), *pids)]
        (self._state_dir / PROCESSES_FILE).write_text(json.dumps(identities))

    def _tell_ready(self, deployed: Deployed, endpoint: str, hub_url: str) -> None:
        document = {
            "name": self._options.name,
            "endpoint": endpoint,
            "region": emulators.REGION,
            "outputs": {**deployed.outputs, "HttpApiUrl": f"{hub_url}/api"},
            "hub_url": hub_url,
            "supervisor": asdict(ProcessIdentity.of(os.getpid())),
        }
        beside = self._state_dir / f"{STACK_FILE}.new"
        beside.touch(mode=0o600)  # it holds the hub's secret
        beside.write_text(json.dumps(document, indent=1))
        beside.replace(self._state_dir / STACK_FILE)


class _World:
    """What lanes need, from the emulator and the runtime host."""

    def __init__(self, endpoint: str, host: RuntimeHost, s3: Any) -> None:
        self._endpoint, self._host, self._s3 = endpoint, host, s3

    def open_stream(self, arn: str) -> Stream:
        """A connection of the lane's own."""
        return open_stream(arn, self._endpoint, emulators.REGION)

    def invoke(self, function_name: str, payload: bytes) -> Outcome:
        """Straight to the host: the emulator would only pass it on."""
        return self._host.invoke(function_name, payload)

    def store_failure(self, bucket: str, key: str, body: bytes) -> None:
        """Keep a failure record."""
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)


def _cached_clients(endpoint: str) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def get(service: str) -> Any:
        if service not in made:
            made[service] = client(service, endpoint)
        return made[service]

    return get


def _commands(
    deployed: Deployed, host: RuntimeHost, poller: Poller, metrics: MetricPublisher
) -> dict[str, Any]:
    def start(_: dict[str, Any]) -> None:
        for name in {mapping.function_name for mapping in deployed.mappings}:
            host.warm(name)
        poller.start()

    def drain(request: dict[str, Any]) -> None:
        poller.drain(float(request["timeout_s"]))
        metrics.flush()

    return {
        "start": start,
        "stop": lambda _: poller.pause(),
        "drain": drain,
        "stats": lambda _: {"mappings": poller.stats(), "processes": host.pids()},
    }


def _api(template: str, deployed: Deployed, host: RuntimeHost) -> Api:
    routes = routes_of(read_template(Path(template)), "ScoringApiFunction")
    name = deployed.outputs["ScoringApiFunctionName"]

    def answer(request: Request) -> Response:
        event = event_of(routes, request)
        return NOT_FOUND if event is None else response_of(host.invoke(name, event))

    return answer


def main(options: Options) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    state_dir = Path(options.state_dir)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    with (state_dir / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            supervisor = Supervisor(options)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: supervisor.over.set())
            with supervisor:
                supervisor.over.wait()
                supervisor.over.set()
        except BlockingIOError:
            (state_dir / ERROR_FILE).write_text("another stack is coming up here; wait for it, or end it")
            return 2
        except StreamscoreError as error:
            (state_dir / ERROR_FILE).write_text(str(error))
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(Options(**json.loads(sys.argv[1]))))
