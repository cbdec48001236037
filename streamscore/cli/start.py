"""`streamscore start`: let events flow."""

import click

from streamscore.cli._stack import stage_options, target


@click.command()
@stage_options
def command(stage: str | None, yes: bool) -> None:
    """Let the stream mappings poll: events on the stream reach the functions."""
    stack = target(stage, yes)
    stack.start()
    click.echo(f"{stack.name}: polling", err=True)
