"""`streamscore load-state`: the history that live events will find."""

import json
from pathlib import Path

import click

from streamscore.cli._moment import moment_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import stage_options, target
from streamscore.training.backfill import backfill
from streamscore.training.load_state import Loaded, load, state_table


@click.command()
@click.argument("events", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--until",
    metavar="TIME",
    help="Only what had arrived by then: a date or an RFC 3339 time, UTC if it says no zone.",
)
@click.option("--replace", is_flag=True, help="Also overwrite items that the stream has written since.")
@click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The feature spec; by default the project's own.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
@stage_options
def command(
    events: Path,
    until: str | None,
    replace: bool,
    spec_path: Path | None,
    as_json: bool,
    stage: str | None,
    yes: bool,
) -> None:
    """Fold EVENTS and write each entity's final state to the stack's state table.

    Running it again writes nothing new, and goes on where a run broke off. Do it before `streamscore start`:
    items that the stream has written since are kept as they are.
    """
    until_ms = moment_ms(until, "--until")
    spec = read_spec(spec_path)
    table = state_table(target(stage, yes))
    progress = TerminalProgress()
    with progress.step("fold history", "events") as step:
        history = backfill(spec, events, until_ms)
        step.advance(len(history.ids))
    with progress.step("write state", "items") as step:
        step.expect(sum(map(len, history.names)))
        loaded = load(table, history, until_ms, replace=replace, advance=step.advance)
        step.note(_told(loaded))
    if loaded.kept:
        click.echo(
            f"kept {loaded.kept:,} items that the stream has written; --replace overwrites them", err=True
        )
    if as_json:
        result = {"written": loaded.written, "unchanged": loaded.unchanged, "kept": loaded.kept}
        click.echo(json.dumps({"events": len(history.ids), **result}))


def _told(loaded: Loaded) -> str:
    return f"{loaded.written:,} items written, {loaded.unchanged:,} unchanged"
