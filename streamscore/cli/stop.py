"""`streamscore stop`: pause the flow of events."""

import click

from streamscore.cli._stack import stage_options, target


@click.command()
@stage_options
def command(stage: str | None, yes: bool) -> None:
    """Pause the stream mappings; they go on where they were when started again."""
    stack = target(stage, yes)
    stack.stop()
    click.echo(f"{stack.name}: paused", err=True)
