"""`streamscore publish`: the spec, where everything that reads a vector finds it."""

from pathlib import Path

import click

from streamscore.cli._spec import read_spec
from streamscore.cli._stack import NotDeployedError, stage_options, target
from streamscore.publication import publish_spec


@click.command()
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Another features.toml.")
@click.option("--if-deployed", is_flag=True, help="Do nothing where there is no stack yet.")
@stage_options
def command(spec_path: Path | None, if_deployed: bool, stage: str | None, yes: bool) -> None:
    """Publish features.toml to the stack's bucket, so that what it made can be read by its names.

    `make deploy` does this before a deployment goes live, and again after a first one has made the bucket.
    """
    spec = read_spec(spec_path)
    try:
        stack = target(stage, yes)
    except NotDeployedError as absent:
        if not if_deployed:
            raise
        click.echo(f"{absent}: its spec is published once it is there", err=True)
        return
    key = publish_spec(stack.client("s3"), stack.outputs["DataBucketName"], spec)
    click.echo(f"{stack.name}: {key} is published", err=True)
