"""Put a local stack together: code, emulator, deployed template, functions, poller, and the door to them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stream_features import spec as specs
from streamscore.local import emulator as emulators
from streamscore.local.bell import Bell
from streamscore.local.clients import client
from streamscore.local.code import copy_code
from streamscore.local.deploy import Clients, Deployed, deploy
from streamscore.local.emf import MetricPublisher
from streamscore.local.emulator import Emulator
from streamscore.local.folder import Options
from streamscore.local.function_process import Outcome, Site
from streamscore.local.http_api import (
    NOT_FOUND,
    Request,
    Response,
    event_of,
    gateway_response,
    response_of,
    routes_of,
)
from streamscore.local.hub import Api, Command, Hub
from streamscore.local.jobs import Jobs
from streamscore.local.lambda_metrics import LambdaMetrics, Tell
from streamscore.local.pace import PACES
from streamscore.local.poller import Poller
from streamscore.local.runtime_host import PayloadTooLargeError, RuntimeHost, ThrottledError
from streamscore.local.streams import Stream, open_stream
from streamscore.local.template import read_template
from streamscore.publication import publish_shipped_policy, publish_spec


@dataclass(frozen=True)
class Assembly:
    """A stack that runs, not polling yet."""

    endpoint: str
    hub_url: str
    outputs: dict[str, str]


def assemble(options: Options, exits: ExitStack, on_emulator: Callable[[Emulator], None]) -> Assembly:
    """Start everything; `exits` gets what ends it again, in the right order."""
    state_dir, spec = Path(options.state_dir), _prepare_code(options)
    bell = Bell()
    exits.callback(bell.close)
    hub = Hub()
    exits.callback(hub.close)
    emulator = emulators.start(state_dir / "emulator", options.port, bell=bell.address, jobs=f"{hub.url}/job")
    exits.callback(emulator.stop)
    on_emulator(emulator)
    clients: Clients = cache(lambda service: client(service, emulator.endpoint))
    deployed = deploy(
        clients,
        options.name,
        Path(options.template),
        f"{hub.url}/invoke",
        options.shards,
        window_s=options.window_s,
    )
    publish_spec(clients("s3"), deployed.outputs["DataBucketName"], spec)
    if (ships := state_dir / "code/policy.toml").is_file():
        publish_shipped_policy(clients("s3"), deployed.outputs["DataBucketName"], ships)
    metrics = MetricPublisher(clients("cloudwatch"))
    exits.callback(metrics.close)
    lambdas = LambdaMetrics(clients("cloudwatch"))
    exits.callback(lambdas.close)
    site = Site(state_dir / "code", emulator.endpoint, emulators.REGION, state_dir / "logs")
    host = RuntimeHost(deployed.functions, site, lambda _name, line: metrics.offer(line), lambdas.tell)
    world = _World(emulator.endpoint, host, clients("s3"), lambdas.tell)
    poller = Poller(deployed.mappings, world, state_dir / "checkpoints", bell, PACES[options.pace])
    exits.callback(poller.close)
    exits.callback(host.close)  # before the poller's threads end, which would wait for their functions
    exits.callback(poller.pause)
    hub.invoke = host.invoke
    hub.api = _api(options.template, deployed, host)
    jobs = Jobs(clients, emulator.endpoint, state_dir / "jobs", state_dir / "logs/jobs")
    exits.callback(jobs.close)

    def tell_everything() -> None:
        metrics.flush()
        lambdas.flush()
        clients("cloudwatch").describe_alarms(MaxRecords=1)  # evaluates them

    hub.commands = {**_commands(deployed, host, poller, tell_everything), "job": jobs.run}
    outputs = {**deployed.outputs, "HttpApiUrl": f"{hub.url}/api"}
    return Assembly(emulator.endpoint, hub.url, outputs)


def _prepare_code(options: Options) -> specs.Spec:
    """The functions' code root, and its spec; raises InvalidInputError if that is refused."""
    code_root = Path(options.state_dir) / "code"
    copy_code(Path(options.code), code_root, Path(options.spec) if options.spec else None)
    text = (code_root / "features.toml").read_text(encoding="utf-8")
    return specs.parse(text, options.spec or "features.toml")


def _api(template: str, deployed: Deployed, host: RuntimeHost) -> Api:
    routes = routes_of(read_template(Path(template)), "ScoringApiFunction")
    name = deployed.outputs["ScoringApiFunctionName"]

    def answer(request: Request) -> Response:
        event = event_of(routes, request)
        if event is None:
            return NOT_FOUND
        try:
            return response_of(host.invoke(name, event))
        except PayloadTooLargeError:
            return gateway_response(413, "Request Entity Too Large")
        except ThrottledError:
            return gateway_response(503, "Service Unavailable")

    return answer


def _commands(
    deployed: Deployed, host: RuntimeHost, poller: Poller, tell_everything: Callable[[], None]
) -> dict[str, Command]:
    def start(_: dict[str, Any]) -> None:
        for name in {mapping.function_name for mapping in deployed.mappings}:
            host.warm(name)
        poller.start()

    def drain(request: dict[str, Any]) -> None:
        poller.drain(float(request["timeout_s"]))
        tell_everything()

    return {
        "start": start,
        "stop": lambda _: poller.pause(),
        "drain": drain,
        "stats": lambda _: {"mappings": poller.stats(), "processes": host.pids()},
    }


class _World:
    """What lanes need, from the emulator and the runtime host."""

    def __init__(self, endpoint: str, host: RuntimeHost, s3: Any, tell: Tell) -> None:
        self._endpoint, self._host, self._s3 = endpoint, host, s3
        self.tell = tell

    def open_stream(self, arn: str) -> Stream:
        """A connection of the lane's own."""
        return open_stream(arn, self._endpoint, emulators.REGION)

    def invoke(self, function_name: str, payload: bytes) -> Outcome:
        """Straight to the host: the emulator would only pass it on."""
        return self._host.invoke(function_name, payload)

    def store_failure(self, bucket: str, key: str, body: bytes) -> None:
        """Keep a failure record."""
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)
