"""`streamscore publish`: the spec, where everything that reads a vector finds it."""

from pathlib import Path

import click

from common.settings import code_root
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import NotDeployedError, stage_options, target
from streamscore.publication import publish_shipped_policy, publish_spec


@click.command()
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Another features.toml.")
@click.option("--if-deployed", is_flag=True, help="Do nothing where there is no stack yet.")
@stage_options
def command(spec_path: Path | None, if_deployed: bool, stage: str | None, yes: bool) -> None:
    """Publish features.toml and policy.toml to the stack's bucket, so that what they made can be read again.

    `make deploy` does this before a deployment goes live, and again after a first one has made the bucket. No
    pointer moves: a policy published by `policy publish` stays in use.
    """
    spec = read_spec(spec_path)
    try:
        stack = target(stage, yes)
    except NotDeployedError as absent:
        if not if_deployed:
            raise
        click.echo(f"{absent}: its spec is published once it is there", err=True)
        return
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    for key in (
        publish_spec(s3, bucket, spec),
        publish_shipped_policy(s3, bucket, code_root() / "policy.toml"),
    ):
        click.echo(f"{stack.name}: {key} is published", err=True)
