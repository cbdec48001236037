"""`streamscore put`: an EVENTS file onto a stack's stream, labels included."""

import json
import time
from pathlib import Path

import click

from stream_features.spec import Spec
from streamscore.cli._moment import moment_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import stage_options, target
from streamscore.parity.served import running_spec
from streamscore.producer.records import Selection, last_ms, new_trace, records
from streamscore.producer.stream import Pace, put
from streamscore.training.tables import read_events

POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--rate", type=POSITIVE, help="At most so many records a second.")
@click.option("--speed", type=POSITIVE, help="Keep the time between records, so many times as fast.")
@click.option("--shift-to-now", is_flag=True, help="Move all times alike, so that the last record is now.")
@click.option("--labels/--no-labels", default=True, show_default=True, help="Put label records too.")
@click.option("--since", metavar="TIME", help="Only records after then: a date or an RFC 3339 time.")
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Instead of the stack's own spec.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(
    events: Path,
    rate: float | None,
    speed: float | None,
    shift_to_now: bool,
    labels: bool,
    since: str | None,
    spec_path: Path | None,
    stage: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Put EVENTS on the stream in the order of time, and each label once it is known.

    A label is known `label_known_after` its event; labels that become known after the last event are put too.
    --since TIME puts what `load-state --until TIME` has left. Where the spec names a field for a trace id and
    a row has none, its event begins a trace.
    """
    stack = target(stage, yes)
    spec = read_spec(spec_path) if spec_path else running_spec(stack)
    selection = Selection(
        labels=labels,
        since_ms=moment_ms(since, "--since"),
        shift_ms=_shift_ms(events, spec, labels) if shift_to_now else 0,
    )
    some = records(spec, read_events(events, spec), selection, new_trace)
    with TerminalProgress().step("Put on the stream", "records") as step:
        sent = put(stack.client("kinesis"), stack.outputs["EventsStreamArn"], some, Pace(rate, speed), step)
    if as_json:
        click.echo(json.dumps({"events": sent.events, "labels": sent.labels}))
    else:
        click.echo(f"{sent.events:,} events and {sent.labels:,} labels are on the stream")


def _shift_ms(events: Path, spec: Spec, labels: bool) -> int:
    return int(time.time() * 1000) - last_ms(spec, read_events(events, spec), labels)
