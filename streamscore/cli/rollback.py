"""`streamscore rollback`: return to the model before."""

import click

from common.errors import ModelRefusedError
from scoring.pointers import Version
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.parity.served import running_spec
from streamscore.promotion import examined, gate
from streamscore.training import pointers


@click.command()
@click.option("--reason", default="rollback", show_default=True, help="Kept in the pointer's history.")
@stage_options
def command(reason: str, stage: str | None, yes: bool) -> None:
    """Point the champion to what it was before; again, to what was before that.

    What is left is not returned to: `promote` it to have it back. Functions follow within a minute.
    """
    stack = target(stage, yes)
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    current = pointers.read(ssm, prefix)
    if current is not None and current.previous is not None:
        _refuse(stack, current.previous)
    moved = pointers.back(ssm, prefix, reason)
    left = f", instead of {current.version}" if current else ""
    click.echo(f"{stack.name}: champion is {moved.version} again{left}", err=True)


def _refuse(stack: TargetStack, before: Version) -> None:
    """ModelRefusedError if functions would refuse it, or could not score a row with it."""
    mend = "`promote` another of `streamscore models`, or `streamscore policy force review` meanwhile"
    asked = examined.candidate(stack, before.version)
    if asked.version.sha256 != before.sha256:
        raise ModelRefusedError(f"{before.version}: what is registered is not what was in use; {mend}")
    served = gate.features(asked.model.bundle, running_spec(stack))
    if not served.held:
        raise ModelRefusedError(
            f"{before.version}, the model before, is not returned to: {served.seen}; {mend}"
        )
