"""Which stack a command acts on: the local one, or with --stage a deployed one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError

from common.errors import InvalidInputError, TransientError
from streamscore.local import stack as local


class NotDeployedError(InvalidInputError):
    """CloudFormation answers, and has no such stack."""


class TargetStack(Protocol):
    """A stack to act on, wherever it is."""

    @property
    def name(self) -> str:
        """CloudFormation's name of it."""

    @property
    def outputs(self) -> dict[str, str]:
        """CloudFormation's outputs."""

    def client(self, service: str) -> Any:
        """A boto3 client for its account, or for the emulator."""

    def start(self) -> None:
        """Let the stream mappings poll."""

    def stop(self) -> None:
        """Pause the stream mappings."""


@dataclass(frozen=True)
class CloudStack:
    """A stack deployed to AWS, with the caller's credentials and region."""

    name: str
    outputs: dict[str, str]
    session: Any
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A boto3 client for the account."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service)
        return self._clients[service]

    def start(self) -> None:
        """Change the EventSources parameter to enabled, nothing else, and wait until that is done."""
        self._set_event_sources("enabled")

    def stop(self) -> None:
        """Change the EventSources parameter to disabled, nothing else, and wait until that is done."""
        self._set_event_sources("disabled")

    def _set_event_sources(self, value: str) -> None:
        formation = self.client("cloudformation")
        (described,) = formation.describe_stacks(StackName=self.name)["Stacks"]
        parameters = [
            {"ParameterKey": key, "ParameterValue": value}
            if key == "EventSources"
            else {"ParameterKey": key, "UsePreviousValue": True}
            for key in (p["ParameterKey"] for p in described["Parameters"])
        ]
        try:
            formation.update_stack(
                StackName=self.name,
                UsePreviousTemplate=True,
                Parameters=parameters,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
            )
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return
            raise TransientError(f"{self.name}: {error}") from error
        formation.get_waiter("stack_update_complete").wait(StackName=self.name)


def target(stage: str | None, yes: bool = False, root: Path | None = None) -> TargetStack:
    """The running local stack; with `stage` the stack streamscore-<stage> in AWS, `prod` only with `yes`.

    Raises InvalidInputError if there is none that can be read, NotDeployedError if there is none at all.
    """
    if stage is None:
        return local.load(root or Path.cwd())
    if stage == "prod" and not yes:
        raise InvalidInputError("this acts on the prod stack; add --yes if that is meant")
    session = boto3.session.Session()
    name = f"streamscore-{stage}"
    try:
        (described,) = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and "does not exist" in str(error):
            raise NotDeployedError(f"no stack {name} is deployed in this account and region") from error
        raise InvalidInputError(
            f"no stack {name} can be read with these credentials and region: {error}"
        ) from error
    outputs = {o["OutputKey"]: o["OutputValue"] for o in described.get("Outputs", ())}
    return CloudStack(name, outputs, session)


def stage_options[F: Callable[..., Any]](function: F) -> F:
    """The options --stage and --yes, as every command that acts on a stack has them."""
    function = click.option("--yes", is_flag=True, help="Needed for --stage prod.")(function)
    help_text = "Act on the AWS stack streamscore-STAGE instead of the local one."
    return click.option("--stage", metavar="STAGE", help=help_text)(function)
