"""`streamscore register`: put a bundle into a stack without using it."""

import json
from pathlib import Path

import click
import msgspec

from streamscore.cli._stack import stage_options, target
from streamscore.training import bundles


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print version and sha256 as JSON.")
@stage_options
def command(bundle: Path, as_json: bool, stage: str | None, yes: bool) -> None:
    """Upload BUNDLE to models/<version>/ of the stack's bucket. Doing it again changes nothing."""
    stack = target(stage, yes)
    version = bundles.register(stack.client("s3"), stack.outputs["DataBucketName"], bundle)
    click.echo(f"{stack.name}: bundle {version.version} is registered", err=True)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(version)))
