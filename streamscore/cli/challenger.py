"""`streamscore challenger`: let a bundle score beside the champion, and decide nothing."""

import click

from common.errors import ModelRefusedError
from scoring.pointers import CHALLENGER, NOTHING
from streamscore.cli._bundle import candidate
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.cli.promote import tell
from streamscore.promotion import examined
from streamscore.training import pointers


@click.command()
@click.argument("bundle", metavar="BUNDLE|none")
@click.option("--reason", default="", help="Kept in the pointer's history, for whoever asks later.")
@stage_options
def command(bundle: str, reason: str, stage: str | None, yes: bool) -> None:
    """Put BUNDLE (a folder, or a registered version) in shadow, or end that with `none`.

    It scores every event beside the champion; its score, and what it would have decided, are kept on the
    decision and counted. It decides nothing. Functions follow within a minute.
    """
    stack = target(stage, yes)
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    if bundle == "none":
        pointers.point(ssm, prefix, NOTHING, reason, CHALLENGER)
        click.echo(f"{stack.name}: nothing is in shadow", err=True)
        return
    asked = candidate(stack, bundle)
    _refuse(stack, asked)
    moved = pointers.point(ssm, prefix, asked.version, reason, CHALLENGER)
    click.echo(f"{stack.name}: {moved.version} scores in shadow; it decides nothing", err=True)


def _refuse(stack: TargetStack, asked: examined.Candidate) -> None:
    """ModelRefusedError if it is the champion, or fails what needs no traffic: it would tell nothing."""
    champion = examined.champion(stack)
    if champion is not None and champion.current == asked.version:
        raise ModelRefusedError(f"{asked.version.version} is the champion: it cannot be its own challenger")
    checks = examined.without_traffic(stack, asked)
    if failed := [check for check in checks if not check.held]:
        tell(failed)
        names = ", ".join(check.name for check in failed)
        raise ModelRefusedError(
            f"{stack.name}: {asked.version.version} is not put in shadow: {names} failed (above, with what "
            "mends it)"
        )
