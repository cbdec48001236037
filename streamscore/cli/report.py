"""`streamscore report`: what a stack has decided, as one HTML page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec

from streamscore.cli._stack import stage_options, target
from streamscore.estimate import price_file
from streamscore.report.gather import gather
from streamscore.report.page import render
from streamscore.report.verdicts import lines
from streamscore.training.files import written_whole


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True
)
@click.option(
    "--hours",
    type=click.FloatRange(min=0, min_open=True),
    default=24,
    show_default=True,
    help="How far back to look.",
)
@click.option(
    "--prices", metavar="FILE", type=Path, help="A price table, TOML or JSON, instead of the built-in one."
)
@stage_options
@click.option("--json", "as_json", is_flag=True, help="The page's numbers as JSON on standard output.")
def command(
    output: Path, hours: float, prices: Path | None, stage: str | None, yes: bool, as_json: bool
) -> None:
    """Write one self-contained HTML page: traffic, latency, drift, performance, reasons, cost, counts.

    The page needs no network, and its calculator works in it. Decisions are those made in the last --hours;
    they are read one by one.
    """
    table, now = price_file.load(prices), datetime.now(UTC)
    stack = target(stage, yes)
    since, until = now - timedelta(hours=hours), now + timedelta(minutes=1)
    report = gather(stack, stack.name, since, until, table)
    with written_whole(output) as beside:
        beside.write_text(render(report, f"streamscore: {stack.name}", table), "utf-8")
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo("\n".join([*lines(report), f"report: {output} ({output.stat().st_size / 1024:,.0f} KB)"]))
