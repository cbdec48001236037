"""`streamscore local up|down|status`: the whole stack on this machine."""

import json
from pathlib import Path
from typing import Any

import click

from streamscore.local import stack as stacks
from streamscore.local.pace import PACES


@click.group("local")
def command() -> None:
    """The whole stack on this machine, without an account."""


@command.command()
@click.option("--port", default=4566, show_default=True, help="Of the AWS emulator, on 127.0.0.1; 0 for any.")
@click.option(
    "--spec",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Instead of src/features.toml.",
)
@click.option(
    "--shards", type=click.IntRange(1, 64), default=1, show_default=True, help="Of the events stream."
)
@click.option(
    "--pace",
    type=click.Choice(list(PACES)),
    default="local",
    show_default=True,
    help="How often streams are looked at: when records come, or as AWS does it, with fan-out or without.",
)
def up(port: int, spec: Path | None, shards: int, pace: str) -> None:
    """Bring it up, its mappings not polling; `streamscore start` lets events flow."""
    stack = stacks.up(Path.cwd(), spec=spec, port=port, shards=shards, pace=pace)
    click.echo(
        f"up at {stack.endpoint}; `streamscore start` lets events flow, `streamscore local down` ends it",
        err=True,
    )


@command.command()
def down() -> None:
    """End it. Its data is gone; logs stay in .local/logs."""
    click.echo("down" if stacks.down(Path.cwd()) else "no local stack was up", err=True)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines, on stdout.")
def status(as_json: bool) -> None:
    """Whether it is up, and how far each stream is."""
    found = stacks.status(Path.cwd())
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found["up"]:
        click.echo("no local stack is up")
    else:
        click.echo(f"up at {found['endpoint']}")
        for name, mapping in found["mappings"].items():
            click.echo(f"  {name}: {_progress(mapping)}")


def _progress(mapping: dict[str, Any]) -> str:
    shards = mapping["shards"]
    counts = {key: sum(s[key] for s in shards) for key in ("records", "invocations", "failures", "given_up")}
    age_ms = max((s["iterator_age_ms"] for s in shards), default=0)
    return (
        f"{'polling' if mapping['polling'] else 'paused'}, {counts['records']} records, "
        f"{counts['invocations']} invocations, {counts['failures']} of them failed, "
        f"{counts['given_up']} records given up, last age {age_ms} ms"
    )
