"""`streamscore load`: a made-up load for a while, and how the stack bore it."""

import json
import secrets
import sys

import click

from streamscore.cli._moment import span_within_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._stack import stage_options, target
from streamscore.load import measured
from streamscore.load.events import Events
from streamscore.load.produce import produce, to_stream
from streamscore.load.profiles import SHAPES, Profile
from streamscore.load.report import Report
from streamscore.parity import served

_MS = (1_000, 6 * 3_600_000)
"""The least and the most that a span may be."""
_MOST_RATE = 20_000.0


@click.command()
@click.option("--profile", "shape", type=click.Choice(list(SHAPES)), default="steady", show_default=True)
@click.option(
    "--rate", type=click.FloatRange(0.1, _MOST_RATE), default=50.0, show_default=True, help="Events a second."
)
@click.option("--for", "length", metavar="SPAN", default="60s", show_default=True, help="How long, up to 6h.")
@click.option(
    "--keys", type=click.IntRange(1, 10_000_000), default=10_000, show_default=True, help="Primary entities."
)
@click.option(
    "--skew",
    type=click.FloatRange(0, 3),
    default=1.1,
    show_default=True,
    help="Zipf's exponent; 0: all alike.",
)
@click.option(
    "--patience",
    metavar="SPAN",
    default="3m",
    show_default=True,
    help="Wait so long for decisions and metrics.",
)
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(
    shape: str,
    rate: float,
    length: str,
    keys: int,
    skew: float,
    patience: str,
    stage: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Put made-up events of the stack's spec on its stream for a while, then say how it bore them.

    steady: one rate. burst: five times the rate in the middle fifth. daily: a day's curve in that time, from
    0.2 to 1.8 times the rate. Entities are drawn by Zipf's law. It ends by itself; what it could not put in
    its time is left out. Reports the rate reached, decision latency, the greatest iterator age and the
    metered cost per million decisions, other traffic of those minutes included. Ids and entities begin with
    `load-`; they are decided and counted as all others are. Exits 1 if events it looked up are not decided.
    """
    profile = Profile(shape, rate, span_within_ms(length, "--for", _MS) / 1000)
    patience_s = span_within_ms(patience, "--patience", _MS) / 1000
    stack = target(stage, yes)
    events = Events(served.running_spec(stack), f"load-{secrets.token_hex(4)}", keys, skew)
    began, progress = measured.now(), TerminalProgress()
    with progress.step("Put on the stream", "events") as step:
        to = to_stream(stack.client("kinesis"), stack.outputs["EventsStreamArn"])
        put = produce(to, events, profile, step)
    ids = [events.id(number) for number in measured.sample(put.events)] if put.events else []
    with progress.step("Wait for decisions and metrics") as step:
        found = measured.latencies_ms(stack, ids, patience_s)
        left_s = patience_s if found else 0.0
        cost = measured.cost_of(stack, began, put.events, left_s)
        ages = measured.ages_ms(stack, began, left_s)
    report = Report(profile, put, len(ids), list(found.values()), ages, cost)
    click.echo(json.dumps(report.as_json()) if as_json else "\n".join(report.lines()))
    if report.undecided:
        sys.exit(1)
