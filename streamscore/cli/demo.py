"""`streamscore demo`: the whole way from nothing, checked."""

import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click
import msgspec
import numpy as np
import polars as pl

from common.errors import InvalidInputError
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.demo.material import Simulated
from streamscore.demo.run import Options, run
from streamscore.demo.text import lines
from streamscore.report.page import render

CUSTOMERS, FEW_CUSTOMERS = 120, 40
"""Of few, payments are so far apart that a day of them goes by in a second."""
COMING = 40_000
"""Payments that are there for the act about drift: it takes what it needs."""


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
@click.option(
    "--drift", is_flag=True, help="Then let payments change: the stack retrains itself, and goes back."
)
@click.option("--keep", is_flag=True, help="Leave the stack up.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the simulated events."
)
@click.option(
    "--customers",
    type=click.IntRange(min=1),
    help=f"To simulate.  [default: {CUSTOMERS}; with --drift {FEW_CUSTOMERS}]",
)
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
    drift: bool,
    keep: bool,
    seed: int,
    customers: int | None,
    history_days: int,
    port: int,
    as_json: bool,
) -> None:
    """Run everything once on this machine: stack, history, model, live events, checks, report.

    Exits 0 only if every check held. Nothing stays running, unless --keep is given.
    """
    if drift and events is not None:
        raise InvalidInputError("--drift changes simulated payments: leave --events out")
    size = Simulated(live, history_days, customers or (FEW_CUSTOMERS if drift else CUSTOMERS), seed)
    options = Options(
        root=Path.cwd(),
        spec_path=spec_path,
        spec=read_spec(spec_path),
        events=events,
        simulated=replace(size, coming=COMING) if drift else size,
        rate=rate,
        port=port,
        keep=keep,
        drift=drift,
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
