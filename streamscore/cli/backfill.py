"""`streamscore backfill`: a file's features, point in time, by the code that serves."""

import signal
from pathlib import Path

import click

from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec, spec_option
from streamscore.entity_keys import key_of_environment
from streamscore.training.backfill import write_features
from streamscore.training.files import written_whole


@click.command()
@click.argument("events", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="FEATURES file."
)
@spec_option
def command(events: Path, output: Path, spec_path: Path | None) -> None:
    """Compute the features of every event in EVENTS as they would have been served at its time.

    Writes Parquet: id, time, entity columns, one float32 column per feature in spec order, and the label if
    EVENTS has it. If the spec hashes entities, STREAMSCORE_ENTITY_KEY has to be the stack's secret.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # temporary files go, as they do with Ctrl-C
    spec = read_spec(spec_path)
    key = key_of_environment(spec)
    with TerminalProgress().step("backfill", "events") as step:
        with written_whole(output) as beside:
            done = write_features(spec, events, beside, key=key, advance=step.advance)
        step.note(f"{done.events:,} events, {len(spec.features)} features → {output}")
    if done.repeats:
        click.echo(f"left out {done.repeats:,} events with the id of an earlier one", err=True)
