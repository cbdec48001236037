"""`streamscore check`: which rows of a file the stream would refuse, and why."""

import json
import sys
from collections import Counter
from pathlib import Path

import click

from stream_features.spec import Spec, retention_ms
from streamscore.cli._spec import read_spec, spec_option
from streamscore.moments import rfc3339
from streamscore.training.rows import Refusal
from streamscore.training.tables import Table, read_table

SHOWN = 20
DAY_MS = 86_400_000


@click.command()
@click.argument("events", type=click.Path(path_type=Path, dir_okay=False))
@spec_option
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
        "from": _moment(table.rows[spec.event.time].min()),
        "to": _moment(table.rows[spec.event.time].max()),
        "entities": _entities(spec, table),
        "labels": _labels(spec, table),
        "features": len(spec.features),
        "retention_days": {e.name: retention_ms(spec, e.name) / DAY_MS for e in spec.entities},
    }


def _line(refusal: Refusal) -> dict[str, object]:
    return {"line": refusal.line, "reason": refusal.reason, "message": refusal.message}


def _moment(time_ms: object) -> str | None:
    if not isinstance(time_ms, int):
        return None
    return rfc3339(time_ms)


def _entities(spec: Spec, table: Table) -> dict[str, int]:
    """How many different ids each entity has."""
    return {entity.name: table.rows[entity.field].n_unique() for entity in spec.entities}


def _labels(spec: Spec, table: Table) -> dict[str, int] | None:
    """How many rows have a label, and how many of these a true one; None if the file has no such column."""
    if spec.event.label not in table.rows.columns:
        return None
    labels = table.rows[spec.event.label]
    return {"known": len(labels) - labels.null_count(), "true": int(labels.sum())}


def _print(events: Path, spec: Spec, table: Table, repeats: int) -> None:
    for refusal in table.refusals[:SHOWN]:
        click.echo(f"{events}:{refusal.line}: {refusal.reason}: {refusal.message}")
    if len(table.refusals) > SHOWN:
        click.echo(f"… and {len(table.refusals) - SHOWN:,} more")
    for reason, count in Counter(refusal.reason for refusal in table.refusals).most_common():
        click.echo(f"{count:>10,}  {reason}")
    if repeats:
        click.echo(f"{repeats:>10,}  rows bear the id of an earlier one; backfill leaves them out")
    times = table.rows[spec.event.time]
    span = f", {_moment(times.min())} to {_moment(times.max())}" if len(times) else ""
    entities = ", ".join(f"{count:,} {name}" for name, count in _entities(spec, table).items())
    click.echo(f"{table.rows.height:>10,}  rows are fine{span} ({entities})")
    if labels := _labels(spec, table):
        click.echo(f"{labels['known']:>10,}  of them have a label, {labels['true']:,} a true one")
    kept = ", ".join(f"{e.name} {retention_ms(spec, e.name) / DAY_MS:.3g} days" for e in spec.entities)
    click.echo(f"{len(spec.features):>10,}  features; state is kept for: {kept}")
