"""`streamscore redrive`: what was set aside or given up, back on its way."""

import json
import sys
from pathlib import Path

import click

from streamscore.cli._moment import moment_or_ago_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import stage_options, target
from streamscore.parity import served
from streamscore.redrive.drive import Drive, Wanted
from streamscore.redrive.report import Report

_RATE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.option("--since", metavar="TIME", help="Only what was written since: a time, or how long ago (24h).")
@click.option(
    "--reason", "reasons", multiple=True, help="Only what was refused or given up for it; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--rate", type=_RATE, default=200, show_default=True, help="At most so many records a second.")
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Instead of the stack's own spec.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(
    since: str | None,
    reasons: tuple[str, ...],
    dry_run: bool,
    rate: float,
    spec_path: Path | None,
    stage: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring back what was quarantined or given up: to the stream, its function or its queue, by kind.

    What is done is noted beside each object: run it again after an interruption, or once a cause is mended.
    A record that the spec refuses still is left. Each entity drops what it knows, among its newest 48 events
    and 64 labels; older ones would count again. Exits 1 if something was left.
    """
    wanted = Wanted(moment_or_ago_ms(since, "--since") or 0, frozenset(reasons))
    stack = target(stage, yes)
    spec = read_spec(spec_path) if spec_path else served.running_spec(stack)
    report = Report(dry_run)
    with TerminalProgress().step("Dry run" if dry_run else "Redrive", "objects") as step:
        Drive(stack, spec, wanted, rate).run(report, step)
    click.echo(json.dumps(report.as_json()) if as_json else "\n".join(report.lines()))
    if report.left:
        sys.exit(1)
