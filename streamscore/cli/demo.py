"""`streamscore demo`: the whole way from nothing, checked."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click
import msgspec
import numpy as np
import polars as pl

from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.demo.material import Simulated
from streamscore.demo.run import Options, run
from streamscore.demo.text import lines
from streamscore.report.page import render


@click.command()
@click.option("--events", type=click.Path(path_type=Path), help="An EVENTS file instead of simulated ones.")
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Another features.toml.")
@click.option(
    "--live",
    type=click.IntRange(min=1),
    default=5_000,
    show_default=True,
    help="Events to put live: the last.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=250,
    show_default=True,
    help="Records a second.",
)
@click.option("--keep", is_flag=True, help="Leave the stack up.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the simulated events."
)
@click.option("--customers", type=click.IntRange(min=1), default=120, show_default=True, help="To simulate.")
@click.option(
    "--history-days", type=click.IntRange(min=1), default=70, show_default=True, help="To simulate."
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="Of the emulator; 0 for any."
)
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON on standard output.")
def command(
    events: Path | None,
    spec_path: Path | None,
    live: int,
    rate: float,
    keep: bool,
    seed: int,
    customers: int,
    history_days: int,
    port: int,
    as_json: bool,
) -> None:
    """Run everything once on this machine: stack, history, model, live events, checks, report.

    Exits 0 only if every check held. Nothing stays running, unless --keep is given.
    """
    options = Options(
        root=Path.cwd(),
        spec_path=spec_path,
        spec=read_spec(spec_path),
        events=events,
        simulated=Simulated(live, history_days, customers, seed),
        rate=rate,
        port=port,
        keep=keep,
    )
    _let_polars_find_numpy()
    signal.signal(signal.SIGTERM, _end)
    summary, report = run(options, TerminalProgress())
    page = options.folder / "report.html"
    page.write_text(render(report, "streamscore demo"), encoding="utf-8")
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        click.echo("\n".join(["", *lines(summary), "", f"report: {page}"]))
    if not summary.held:
        sys.exit(1)


def _let_polars_find_numpy() -> None:
    """polars 2.1.0 panics, which is no KeyboardInterrupt, if it is interrupted while it does so at first."""
    pl.Series(np.zeros(1, np.int64))


def _end(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the demo as Ctrl-C does: the stack is taken down on the way out."""
    raise KeyboardInterrupt
