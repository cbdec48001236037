"""`streamscore rollback`: return to the model before."""

import click

from streamscore.cli._stack import stage_options, target
from streamscore.training import pointers


@click.command()
@click.option("--reason", default="rollback", show_default=True, help="Kept in the pointer.")
@stage_options
def command(reason: str, stage: str | None, yes: bool) -> None:
    """Point the champion to what it was before. Twice goes two back."""
    stack = target(stage, yes)
    moved = pointers.back(stack.client("ssm"), stack.outputs["PointerPrefix"], reason)
    click.echo(f"{stack.name}: champion is {moved.version} again", err=True)
