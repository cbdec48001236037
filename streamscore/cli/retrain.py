"""`streamscore retrain`: start a run, follow it, answer for a person."""

import json
import sys
import uuid

import click

from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.retraining import following
from streamscore.retraining.following import Ended, Step

NAME_WIDTH = 22


@click.group(invoke_without_command=True)
@click.option("--reason", default="", help="Kept in the pointer's history, if a new model comes of it.")
@click.option("--watch", is_flag=True, help="Show each step as it ends, until the run is over.")
@stage_options
@click.pass_context
def command(context: click.Context, reason: str, watch: bool, stage: str | None, yes: bool) -> None:
    """Start a run of retraining: check, assemble, train, evaluate, shadow, compare, promote, watch.

    One runs at a time: while it does, this is one reason more for the next. --watch ends with exit code 1
    unless a model was promoted.
    """
    if context.invoked_subcommand is not None:
        return
    stack = target(stage, yes)
    before = following.running(stack)
    run = following.ask(stack, uuid.uuid4().hex, reason)
    if run in before:
        told = f"{run} runs already, and one runs at a time: if it has begun, the run after it answers this"
        click.echo(told, err=True)
    click.echo(run)
    if watch:
        _follow(stack, run)


@command.command()
@click.argument("run")
@stage_options
def watch(run: str, stage: str | None, yes: bool) -> None:
    """Show each step of RUN as it ends, until the run is over."""
    _follow(target(stage, yes), run)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array on stdout.")
@stage_options
def runs(as_json: bool, stage: str | None, yes: bool) -> None:
    """List the newest runs: when, how they ended, and why."""
    found = following.runs(target(stage, yes))
    if as_json:
        click.echo(json.dumps(found))
        return
    if not found:
        click.echo("no run yet", err=True)
    for one in found:
        click.echo(f"{one['run']}  {one['outcome'] or one['status'].lower():<14} {one['text']}".rstrip())


@command.command()
@click.argument("run")
@stage_options
def approve(run: str, stage: str | None, yes: bool) -> None:
    """Let RUN, which waits for a person, promote its model."""
    following.answer(target(stage, yes), run, None)
    click.echo(f"{run} goes on", err=True)


@command.command()
@click.argument("run")
@click.option("--reason", required=True, help="Why not: kept as the run's outcome.")
@stage_options
def refuse(run: str, reason: str, stage: str | None, yes: bool) -> None:
    """End RUN, which waits for a person: its model is not promoted."""
    following.answer(target(stage, yes), run, reason)
    click.echo(f"{run} ends", err=True)


def _follow(stack: TargetStack, run: str) -> None:
    ended = following.follow(stack, run, lambda step: click.echo(line(step), err=True))
    click.echo(told(ended))
    sys.exit(0 if ended.outcome == "promoted" else 1)


def line(step: Step) -> str:
    """A step for people."""
    return f"  {step.name:<{NAME_WIDTH}} {step.took_s:8.1f} s  {step.note}".rstrip()


def told(ended: Ended) -> str:
    """How it ended, for people."""
    return f"{ended.outcome or ended.status.lower()}: {ended.text}".rstrip(": ")
