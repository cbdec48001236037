"""`streamscore report`: what a stack has decided, as one HTML page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from streamscore.cli._stack import stage_options, target
from streamscore.demo import contents, findings
from streamscore.demo.page import render
from streamscore.demo.text import lines
from streamscore.training.files import written_whole


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True
)
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=24, show_default=True)
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output too.")
def command(output: Path, hours: float, stage: str | None, yes: bool, as_json: bool) -> None:
    """Write decisions, latency, labels, drift and cost as a page that needs no network.

    Decisions are all there are; drift and cost are of the last --hours.
    """
    stack = target(stage, yes)
    began = datetime.now(UTC) - timedelta(hours=hours)
    summary = findings.numbers(stack, contents.decisions(stack), began)
    with written_whole(output) as beside:
        beside.write_text(render(summary, f"streamscore {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"), "utf-8")
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        click.echo("\n".join([*lines(summary), f"report: {output}"]))
