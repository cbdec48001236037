"""`streamscore load-state`: the history that live events will find."""

import json
import signal
import time
from pathlib import Path

import click

from common.errors import InvalidInputError
from streamscore.cli._moment import moment_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import stage_options, target
from streamscore.entity_keys import key_of_stack
from streamscore.parity.served import running_spec
from streamscore.training import cutover
from streamscore.training.final_states import final_states
from streamscore.training.load_state import Loaded, load

DAY_MS = 86_400_000


@click.command()
@click.argument("events", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--until",
    metavar="TIME",
    help="Only what had arrived by then, and the stream passes over that: a date or an RFC 3339 time.",
)
@click.option("--replace", is_flag=True, help="Also overwrite items that the stream has written since.")
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Instead of the stack's own spec.")
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

    With --until, the stream from then on passes over events and labels that are not later, so the whole file
    may be put on it; without, put only what EVENTS does not hold. Running it again writes nothing new, and
    goes on where a run broke off. Do it before `streamscore start`: items that the stream has written since
    are kept as they are.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # temporary files go, as they do with Ctrl-C
    until_ms = _past(moment_ms(until, "--until"))
    stack = target(stage, yes)
    spec = read_spec(spec_path) if spec_path else running_spec(stack)
    if until_ms is not None:
        cutover.check(stack, until_ms)
    key = key_of_stack(stack, spec)
    progress = TerminalProgress()
    with progress.step("fold history", "events") as step:
        final = final_states(spec, events, until_ms, key=key, advance=step.advance)
    if until_ms is not None and until_ms - final.replay.newest_ms > DAY_MS:
        click.echo(
            f"EVENTS ends {(until_ms - final.replay.newest_ms) // DAY_MS} days before --until: "
            "the stream will pass over what lies between",
            err=True,
        )
    with progress.step("write state", "items") as step:
        step.expect(final.items)
        loaded = load(stack, final, replace=replace, advance=step.advance)
        step.note(_told(loaded))
    if loaded.kept:
        click.echo(
            f"kept {loaded.kept:,} items that the stream has written; --replace overwrites them", err=True
        )
    if as_json:
        result = {"written": loaded.written, "unchanged": loaded.unchanged, "kept": loaded.kept}
        click.echo(json.dumps({"events": final.replay.events, **result}))


def _past(until_ms: int | None) -> int | None:
    if until_ms is not None and until_ms > time.time() * 1000:
        raise InvalidInputError(
            "--until: lies in the future, and the stream would pass over all events until then"
        )
    return until_ms


def _told(loaded: Loaded) -> str:
    return f"{loaded.written:,} items written, {loaded.unchanged:,} unchanged"
