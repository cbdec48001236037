"""`streamscore drift`: recent decisions against their reference, judged as the alarms judge them."""

from datetime import UTC, datetime, timedelta

import click
import msgspec

from streamscore.cli._stack import stage_options, target
from streamscore.monitoring import watched
from streamscore.watched_text import as_data, lines


@click.command()
@click.option("--hours", default=24.0, show_default=True, help="How far back to look, by arrival.")
@click.option("--model", "version", default="", help="A model version instead of the champion's.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(hours: float, version: str, stage: str | None, yes: bool, as_json: bool) -> None:
    """Compare recent decisions with the same hours last week, or the model's baseline; performance once
    labels have matured.

    Drift (*) is what is past a threshold of the policy and beyond what sampling explains ("noise").
    """
    now = datetime.now(UTC)
    found = watched(
        target(stage, yes), now - timedelta(hours=hours), now + timedelta(minutes=1), version or None
    )
    if as_json:
        click.echo(msgspec.json.encode(as_data(found)).decode())
    else:
        click.echo("\n".join(lines(found)))
