"""An account that is an emulator, and what people do to it: `sam deploy`, and commands with `--stage dev`.

CloudFormation, its change sets and everything that is stored are the emulator's. Lambda and its stream
mappings are ours (streamscore/local), but run the very code and layers that `sam deploy` uploaded. Each
invocation asks what is deployed at that moment; one that runs ends with the code it began with, as on AWS.
"""

import io
import json
import os
import shutil
import subprocess
import threading
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from streamscore.local import emulator as emulators
from streamscore.local.bell import Bell
from streamscore.local.clients import client
from streamscore.local.deploy import Clients, adopt, function_of, outputs_of
from streamscore.local.emulator import CREDENTIALS
from streamscore.local.function_process import Outcome, Site
from streamscore.local.hub import Hub
from streamscore.local.overlay import deployable
from streamscore.local.poller import Poller
from streamscore.local.runtime_host import RuntimeHost
from streamscore.local.streams import Stream, open_stream
from streamscore.local.template import read_template

ROOT = Path(__file__).parents[2]
BUILD = ROOT / ".aws-sam/build"
STACK = "streamscore-dev"


@dataclass(frozen=True)
class Account:
    """The emulator and what stands beside it."""

    folder: Path
    endpoint: str
    clients: Clients
    lambdas: "Lambdas"
    proxy_url: str
    bell: Bell

    def sam_deploy(self, template: Path, *parameters: str) -> str:
        """`sam deploy --config-env dev` as samconfig.toml has it, of another template; what it said."""
        command = [ROOT / ".tools/sam/bin/sam", "deploy", "--template-file", template]
        command += ["--config-file", ROOT / "samconfig.toml", "--config-env", "dev", *parameters]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    @property
    def outputs(self) -> dict[str, str]:
        """CloudFormation's outputs, as they are now."""
        return outputs_of(self.stack())

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return self.clients(service)

    def stack(self) -> dict[str, Any]:
        """What CloudFormation says of it."""
        described = self.clients("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        one: dict[str, Any] = described[0]
        return one

    @contextmanager
    def polling(self) -> Iterator[Poller]:
        """The deployed mappings, polled."""
        deployed = adopt(self.clients, STACK, read_template(ROOT / "template.yaml"))
        world = _World(self.endpoint, self.lambdas, self.clients("s3"))
        poller = Poller(deployed.mappings, world, self.folder / "checkpoints", self.bell)
        poller.start()
        try:
            yield poller
        finally:
            poller.close()


@contextmanager
def account(folder: Path) -> Iterator[Account]:
    """An account with nothing in it, to which this process's environment leads."""
    with ExitStack() as exits:
        bell, hub = Bell(), Hub()
        exits.callback(bell.close)
        exits.callback(hub.close)
        emulator = emulators.start(folder / "emulator", bell=bell.address)
        exits.callback(emulator.stop)
        clients = cache(lambda service: client(service, emulator.endpoint))
        environ = exits.enter_context(pytest.MonkeyPatch.context())
        here = {"AWS_ENDPOINT_URL": emulator.endpoint, "SAM_CLI_TELEMETRY": "0", "HOME": str(folder)}
        for name, value in {**CREDENTIALS, **here}.items():
            environ.setenv(name, value)
        lambdas = Lambdas(clients, emulator.endpoint, folder)
        exits.callback(lambdas.close)
        hub.invoke = lambdas.invoke
        yield Account(folder, emulator.endpoint, clients, lambdas, f"{hub.url}/invoke", bell)


class Lambdas:
    """Runs each function with the code, layers and settings that are deployed when it is invoked."""

    def __init__(self, clients: Clients, endpoint: str, folder: Path) -> None:
        self._clients, self._endpoint, self._folder = clients, endpoint, folder
        self._hosts: dict[str, RuntimeHost] = {}
        self._lock = threading.Lock()
        self.invoked: Counter[tuple[str, str]] = Counter()
        """How often each function ran with each code, by name and the code's SHA-256."""

    def invoke(self, name: str, payload: bytes, request_id: str | None = None) -> Outcome:
        """Run one event."""
        configuration = self._clients("lambda").get_function_configuration(FunctionName=name)
        with self._lock:
            self.invoked[name, configuration["CodeSha256"]] += 1
            host = self._host(configuration)
        return host.invoke(name, payload, request_id)

    def close(self) -> None:
        """End every process."""
        for host in self._hosts.values():
            host.close()

    def _host(self, configuration: dict[str, Any]) -> RuntimeHost:
        """That of this revision; those before it end with the account, for they may still run an event."""
        revision = configuration["RevisionId"]
        if revision not in self._hosts:
            found = self._clients("lambda").get_function(FunctionName=configuration["FunctionName"])
            code = self._unzipped(configuration["CodeSha256"], found["Code"]["Location"])
            layers = [self._layer(layer["Arn"]) / "python" for layer in configuration["Layers"]]
            function = function_of(configuration)
            path = os.pathsep.join(map(str, (code, *layers)))
            function = replace(function, environment={**function.environment, "PYTHONPATH": path})
            site = Site(code, self._endpoint, emulators.REGION, self._folder / "logs" / revision)
            site.log_dir.mkdir(parents=True)
            self._hosts[revision] = RuntimeHost([function], site)
        return self._hosts[revision]

    def _layer(self, arn: str) -> Path:
        content = self._clients("lambda").get_layer_version_by_arn(Arn=arn)["Content"]
        return self._unzipped(content["CodeSha256"], content["Location"])

    def _unzipped(self, digest: str, url: str) -> Path:
        target = self._folder / "unzipped" / digest.replace("/", "_")
        if not target.exists():
            with urllib.request.urlopen(url) as reply, zipfile.ZipFile(io.BytesIO(reply.read())) as code:
                code.extractall(target)
        return target


class _World:
    """What lanes need."""

    def __init__(self, endpoint: str, lambdas: Lambdas, s3: Any) -> None:
        self._endpoint, self._s3 = endpoint, s3
        self.invoke = lambdas.invoke

    def open_stream(self, arn: str) -> Stream:
        return open_stream(arn, self._endpoint, emulators.REGION)

    def store_failure(self, bucket: str, key: str, body: bytes) -> None:
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)

    def tell(self, dimension: str, of: str, **metrics: float) -> None:
        """Nobody is alarmed."""


def built(folder: Path, proxy_url: str, spec: str | None = None) -> Path:
    """The template that `make build` left, as the emulator takes it, in `folder` beside its zips; with `spec`
    in all code if one is given.
    """
    shutil.copytree(BUILD, folder, ignore=shutil.ignore_patterns("*Function", "*Layer", "*.cdx.json"))
    template = read_template(BUILD / "template.yaml")
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            definition = BUILD / resource["Properties"]["DefinitionUri"]
            resource["Properties"]["DefinitionUri"] = str(definition.resolve())
    target = folder / "template.json"
    target.write_text(json.dumps(deployable(template, proxy_url)), encoding="utf-8")
    if spec is not None:
        for code in folder.glob("*Function.zip"):
            _replace(code, "features.toml", spec)
    return target


def _replace(archive: Path, name: str, text: str) -> None:
    """Put another text into a zip."""
    with zipfile.ZipFile(archive) as old:
        kept = [(entry, old.read(entry)) for entry in old.infolist()]
    with zipfile.ZipFile(archive, "w") as new:
        for entry, content in kept:
            new.writestr(entry, text if entry.filename == name else content)
