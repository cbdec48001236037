"""`streamscore drift`: recent decisions against their reference, judged as the alarms judge them."""

import click
import msgspec

from streamscore.cli._stack import stage_options, target
from streamscore.cli._stretch import stretch_of, stretch_options
from streamscore.monitoring import watched
from streamscore.watched_text import as_data, lines


@click.command()
@stretch_options
@click.option("--model", "version", default="", help="A model version instead of the champion's.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(since: str, until: str | None, version: str, stage: str | None, yes: bool, as_json: bool) -> None:
    """Compare recent decisions with the same hours last week, or the model's baseline; performance once
    labels have matured.

    Drift (*) is what is past a threshold of the policy and beyond what sampling explains ("noise"). Looked at
    are the windows of five minutes that begin in that time; those of a DriftFound message are --since and
    --until of its own.
    """
    stretch = stretch_of(since, until)
    found = watched(target(stage, yes), *stretch, version or None)
    if as_json:
        click.echo(msgspec.json.encode(as_data(found)).decode())
    else:
        click.echo("\n".join(lines(found)))
