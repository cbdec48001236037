"""A stack whose functions and poller may be killed, throttled and lied to at any moment, by a schedule."""

import os
import secrets
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from botocore.config import Config

from stream_features.spec import Spec
from streamscore.chaos.befell import Metered
from streamscore.chaos.heard import Heard
from streamscore.chaos.proxy import Proxy
from streamscore.chaos.schedule import Mishap, Schedule
from streamscore.local import emulator as emulators
from streamscore.local.clients import client
from streamscore.local.code import copy_code
from streamscore.local.deploy import Deployed, deploy
from streamscore.local.emulator import Emulator
from streamscore.local.function_process import Function, Outcome, Site
from streamscore.local.hub import Hub
from streamscore.local.mapping import Mapping as SourceMapping
from streamscore.local.poller_keeper import PollerKeeper
from streamscore.local.poller_process import Settings
from streamscore.local.processes import ProcessIdentity
from streamscore.local.runtime_host import RuntimeHost, ThrottledError
from streamscore.local.stack import Stack
from streamscore.publication import publish_spec

_PROJECT = Path(__file__).resolve().parents[2]
_POLICY = Path(__file__).with_name("policy.toml")
_SKEWED = Path(__file__).with_name("skewed")
_MOST_POLLER_KILLS = 5
_KILL_WITHIN_S = 0.05


@dataclass(frozen=True)
class Parts:
    """What a world is made of. `batch_size` is below the template's, for more invocations to disturb.

    Mutations put other code in the place of ours: `code` of the functions, `poller` of the package's poller.
    Without an `emulator` the world has one of its own.
    """

    shards: int
    batch_size: int
    code: Path = _PROJECT / "src"
    poller: Path = _PROJECT
    emulator: Emulator | None = None


@dataclass
class World:
    """A running stack under a schedule. `mishaps` counts what befell invocations, by the function's logical
    id; a kill counts only if it ended one. `processes` have been started of functions.
    """

    stack: Stack
    deployed: Deployed
    keeper: PollerKeeper
    proxy: Proxy
    heard: Heard
    metered: Metered
    mishaps: Counter[tuple[str, Mishap]] = field(default_factory=Counter)

    def producer(self) -> Any:
        """A Kinesis client that goes through the proxy, and is more patient than most."""
        patient = Config(retries={"total_max_attempts": 20, "mode": "standard"})
        return client("kinesis", self.proxy.endpoint, config=patient)

    @property
    def processes(self) -> int:
        """How many processes of functions there were so far, each with a clock of its own."""
        logs = (self.stack.state_dir / "logs").glob("*Function.log")
        return sum(log.read_text(errors="replace").count("INIT_START ") for log in logs)


@contextmanager
def world(folder: Path, spec: Spec, schedule: Schedule, parts: Parts) -> Iterator[World]:
    """Everything up, not polling yet; ended whatever happens."""
    with ExitStack() as exits:
        for name in ("logs", "checkpoints"):
            (folder / name).mkdir(parents=True)
        copy_code(parts.code, folder / "code")
        shutil.copy(_POLICY, folder / "code/policy.toml")
        bell = "" if parts.emulator else str(folder / "bell")
        emulator = parts.emulator or emulators.start(folder / "emulator", bell=bell)
        if not parts.emulator:
            exits.callback(emulator.stop)
        hub = Hub()
        exits.callback(hub.close)
        heard = Heard()
        proxy = Proxy(emulator.endpoint, schedule, heard.offer)
        exits.callback(proxy.close)
        clients = cache(lambda service: client(service, emulator.endpoint))
        name = f"chaos-{secrets.token_hex(4)}"
        deployed = deploy(clients, name, _PROJECT / "template.yaml", f"{hub.url}/invoke", parts.shards)
        publish_spec(clients("s3"), deployed.outputs["DataBucketName"], spec)
        site = Site(folder / "code", proxy.endpoint, emulators.REGION, folder / "logs")
        metered = Metered()
        functions = [_with_wrong_clock(f, site, schedule) for f in deployed.functions]
        host = RuntimeHost(functions, site, lambda _name, line: metered.offer(line))
        keeper = _poller(folder, deployed, emulator.endpoint, hub.url, parts, bell)
        exits.callback(host.close)
        exits.callback(keeper.close)
        me = ProcessIdentity.of(os.getpid())
        stack = Stack(name, emulator.endpoint, emulators.REGION, deployed.outputs, folder, hub.url, me)
        made = World(stack, deployed, keeper, proxy, heard, metered)
        names = {function.name: function.log_name for function in functions}
        hub.invoke = _Disturbed(host, keeper, schedule, names, made.mishaps)
        hub.commands = {
            "start": lambda _: keeper.start(),
            "stop": lambda _: keeper.pause(),
            "drain": lambda request: keeper.drain(float(request["timeout_s"])),
            "stats": lambda _: {"mappings": keeper.stats(), "processes": host.pids()},
        }
        yield made


def _with_wrong_clock(function: Function, site: Site, schedule: Schedule) -> Function:
    path = os.pathsep.join((str(_SKEWED), str(site.code_root)))
    wrong = {"STREAMSCORE_CHAOS_SKEW_S": str(schedule.skew_s), "STREAMSCORE_CHAOS_SEED": str(schedule.seed)}
    return replace(function, environment={**function.environment, "PYTHONPATH": path, **wrong})


def _poller(  # noqa: PLR0913, PLR0917 - once, above
    folder: Path, deployed: Deployed, endpoint: str, hub_url: str, parts: Parts, bell: str
) -> PollerKeeper:
    settings = Settings(
        tuple(_smaller(mapping, parts.batch_size) for mapping in deployed.mappings),
        endpoint,
        f"{hub_url}/invoke",
        str(folder / "checkpoints"),
        str(folder / "poller.url"),
        bell,
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"PYTHONPATH": os.pathsep.join((str(parts.poller), str(parts.poller / "src")))}
    return PollerKeeper(settings, environment, folder / "logs/poller.log")


def _smaller(mapping: SourceMapping, batch_size: int) -> SourceMapping:
    return replace(mapping, rules=replace(mapping.rules, batch_size=batch_size))


class _Disturbed:
    """Invokes as the host does, but for what the schedule has for the n-th invocation of a function."""

    def __init__(
        self,
        host: RuntimeHost,
        keeper: PollerKeeper,
        schedule: Schedule,
        names: Mapping[str, str],
        seen: Counter[tuple[str, Mishap]],
    ) -> None:
        self._host, self._keeper, self._schedule, self._names, self._seen = (
            host,
            keeper,
            schedule,
            names,
            seen,
        )
        self._numbers: Counter[str] = Counter()
        self._poller_kills = 0
        self._lock = threading.Lock()

    def __call__(self, function: str, payload: bytes, request_id: str) -> Outcome:
        name = self._names[function]
        mishap, delay_s = self._drawn(name)
        match mishap:
            case Mishap.THROTTLED:
                self._saw(name, mishap)
                raise ThrottledError(f"{function}: Rate exceeded, says the schedule")
            case Mishap.KILLED:
                _later(delay_s, lambda: _kill(*self._host.pids().get(function, ())[:1]))
            case Mishap.POLLER_KILLED:
                self._saw(name, mishap)
                _later(delay_s, lambda: _kill(self._keeper.pid))
        outcome = self._host.invoke(function, payload, request_id)
        if outcome.failed and b"signal: killed" in outcome.payload:
            self._saw(name, Mishap.KILLED)
        return outcome

    def _drawn(self, name: str) -> tuple[Mishap, float]:
        """What becomes of this invocation, and after how long."""
        with self._lock:
            self._numbers[name] += 1
            number = self._numbers[name]
            mishap = self._schedule.mishap(name, number)
            if mishap is Mishap.POLLER_KILLED and self._poller_kills == _MOST_POLLER_KILLS:
                mishap = Mishap.NONE
            self._poller_kills += mishap is Mishap.POLLER_KILLED
        return mishap, self._schedule.delay_s(name, number, _KILL_WITHIN_S)

    def _saw(self, name: str, mishap: Mishap) -> None:
        with self._lock:
            self._seen[name, mishap] += 1


def _later(delay_s: float, what: Callable[[], Any]) -> None:
    timer = threading.Timer(delay_s, what)
    timer.daemon = True
    timer.start()


def _kill(*pids: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, signal.SIGKILL)
