"""`streamscore report`: what a stack has decided, as one HTML page."""

from pathlib import Path

import click
import msgspec

from streamscore.cli._stack import stage_options, target
from streamscore.cli._stretch import stretch_of, stretch_options
from streamscore.estimate import price_file
from streamscore.report import evaluation_figures
from streamscore.report.gather import gather
from streamscore.report.page import render
from streamscore.report.verdicts import lines
from streamscore.training.files import written_whole


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True
)
@stretch_options
@click.option(
    "--prices", metavar="FILE", type=Path, help="A price table, TOML or JSON, instead of the built-in one."
)
@click.option(
    "--evaluation", metavar="FILE", type=Path,
    help="What `evaluate BUNDLE FEATURES --json` wrote: its curves are shown beside what was decided.",
)  # fmt: skip
@stage_options
@click.option("--json", "as_json", is_flag=True, help="The page's numbers as JSON on standard output.")
def command(
    output: Path,
    since: str,
    until: str | None,
    prices: Path | None,
    evaluation: Path | None,
    stage: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Write one self-contained HTML page: traffic, latency, drift, performance, reasons, cost, counts.

    The page needs no network, and its calculator works in it. Decisions are those made in that time; they are
    read one by one.
    """
    table, stretch = price_file.load(prices), stretch_of(since, until)
    evaluated = evaluation_figures.read(evaluation) if evaluation else None
    stack = target(stage, yes)
    report = msgspec.structs.replace(gather(stack, stack.name, *stretch, table), evaluation=evaluated)
    with written_whole(output) as beside:
        beside.write_text(render(report, f"streamscore: {stack.name}", table), "utf-8")
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo("\n".join([*lines(report), f"report: {output} ({output.stat().st_size / 1024:,.0f} KB)"]))
