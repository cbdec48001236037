"""`streamscore cost`: what the functions metered, in total and for a million decisions."""

import json
import math
from pathlib import Path

import click
import msgspec

from monitor.cost import Cost
from streamscore.cli._stack import stage_options, target
from streamscore.cli._stretch import stretch_of, stretch_options
from streamscore.estimate import price_file
from streamscore.estimate.price_file import PriceTable
from streamscore.monitoring import metered


@click.command()
@stretch_options
@click.option(
    "--prices", metavar="FILE", type=Path, help="A price table, TOML or JSON, instead of the built-in one."
)
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(
    since: str, until: str | None, prices: Path | None, stage: str | None, yes: bool, as_json: bool
) -> None:
    """Show what was metered: list price of every invocation by component, and per million decisions.

    Requests, duration, capacity units, stream bytes, events, S3 and logs; not what is billed by the hour or
    month whatever happens (a stream's hours, alarms, metrics, storage): see `streamscore estimate`. Kinesis
    is priced as the stack's StreamMode is; capacity that DynamoDB's answers did not name is told apart.
    """
    table, stretch = price_file.load(prices), stretch_of(since, until)
    found = metered(target(stage, yes), *stretch, table.prices)
    if as_json:
        per_million = None if math.isnan(found.per_million_usd) else found.per_million_usd
        parts = found.per_million_by_component_usd if found.decisions else {}
        known = {"per_million_usd": per_million, "per_million_by_component_usd": parts}
        click.echo(
            json.dumps(
                msgspec.to_builtins(found) | known | {"region": table.region, "prices_as_of": table.as_of}
            )
        )
        return
    for line in lines(found, table):
        click.echo(line)


def lines(found: Cost, table: PriceTable) -> list[str]:
    """The report as text: components by falling cost."""
    by_cost = sorted(found.by_component_usd.items(), key=lambda part: -part[1])
    rows = [_row(name, usd, found.per_million_by_component_usd[name]) for name, usd in by_cost]
    return [
        f"{found.decisions:,} decisions and {found.labels:,} labels; prices of {table.region}, {table.as_of}",
        "",
        f"{'':<16}{'metered USD':>16}{'per million':>16}",
        *rows,
        _row("total", found.total_usd, found.per_million_usd),
        "",
        f"of the total, ${found.wasted_usd:.8f} went to work that failed and was done again",
        *_estimated(found),
        *(f"{service:<24}${usd:.8f}" for service, usd in found.by_service_usd.items()),
    ]


def _estimated(found: Cost) -> list[str]:
    """What is said of capacity that no answer named."""
    units = found.estimated_units
    return [f"{units:,.1f} capacity units are estimated, from item sizes"] if units else []


def _row(name: str, usd: float, per_million: float) -> str:
    part = "-" if math.isnan(per_million) else f"{per_million:.4f}"
    return f"{name:<16}{usd:>16.8f}{part:>16}"
