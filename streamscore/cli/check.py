"""`streamscore check`: which rows of a file the stream would refuse, and why."""

import json
import sys
from collections import Counter
from pathlib import Path

import click
import polars as pl

from stream_features.spec import Spec
from streamscore.cli._spec import read_spec
from streamscore.training.rows import Refusal
from streamscore.training.tables import Table, read_table

SHOWN = 20


@click.command()
@click.argument("events", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The feature spec; by default the project's own.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(events: Path, spec_path: Path | None, as_json: bool) -> None:
    """Say which rows of EVENTS break the spec, and why. Exit code 1 if any does."""
    spec = read_spec(spec_path)
    table = read_table(events, spec)
    repeats = table.rows.height - table.rows[spec.event.id].n_unique()
    if as_json:
        click.echo(json.dumps(_summary(spec, table, repeats)))
    else:
        _print(events, spec, table, repeats)
    sys.exit(1 if table.refusals else 0)


def _summary(spec: Spec, table: Table, repeats: int) -> dict[str, object]:
    return {
        "rows": table.rows.height + len(table.refusals),
        "refused": len(table.refusals),
        "reasons": dict(Counter(refusal.reason for refusal in table.refusals)),
        "repeated_ids": repeats,
        "first": [_line(refusal) for refusal in table.refusals[:SHOWN]],
        "from": _moment(table.rows, spec, last=False),
        "to": _moment(table.rows, spec, last=True),
    }


def _line(refusal: Refusal) -> dict[str, object]:
    return {"line": refusal.line, "reason": refusal.reason, "message": refusal.message}


def _moment(rows: pl.DataFrame, spec: Spec, *, last: bool) -> str | None:
    times = pl.from_epoch(rows[spec.event.time].sort(), "ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_list()
    return str(times[-1 if last else 0]) if times else None


def _print(events: Path, spec: Spec, table: Table, repeats: int) -> None:
    for refusal in table.refusals[:SHOWN]:
        click.echo(f"{events}:{refusal.line}: {refusal.reason}: {refusal.message}")
    if len(table.refusals) > SHOWN:
        click.echo(f"… and {len(table.refusals) - SHOWN:,} more")
    for reason, count in Counter(refusal.reason for refusal in table.refusals).most_common():
        click.echo(f"{count:>10,}  {reason}")
    if repeats:
        click.echo(f"{repeats:>10,}  rows bear the id of an earlier one; backfill leaves them out")
    span = f", {_moment(table.rows, spec, last=False)} to {_moment(table.rows, spec, last=True)}"
    entities = ", ".join(f"{table.rows[e.field].n_unique():,} {e.name}" for e in spec.entities)
    click.echo(f"{table.rows.height:>10,}  rows are fine{span if table.rows.height else ''} ({entities})")
