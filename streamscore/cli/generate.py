"""`streamscore generate`: simulated card transactions in a file."""

from datetime import datetime
from pathlib import Path

import click

from streamscore import simulator
from streamscore.event_files import write_events


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; its ending decides the format.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The same seed gives the same file.",
)
@click.option("--days", type=click.IntRange(1, 3_660), default=183, show_default=True)
@click.option("--customers", type=click.IntRange(1, 1_000_000), default=5_000, show_default=True)
@click.option("--terminals", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2018-04-01",
    show_default=True,
    help="First day, UTC.",
)
def command(output: Path, seed: int, days: int, customers: int, terminals: int, start: datetime) -> None:
    """Write simulated card transactions (.csv .csv.gz .csv.xz .jsonl .parquet)."""
    scale = simulator.Scale(customers, terminals, days, start.date())
    frame = simulator.to_frame(simulator.simulate(scale, seed))
    write_events(frame, output)
    frauds = int(frame["is_fraud"].sum())
    click.echo(f"{output}: {len(frame):,} transactions, {frauds:,} frauds", err=True)
