"""`streamscore promote`: let a bundle decide."""

from pathlib import Path

import click

from common.errors import InvalidInputError
from scoring import bundle as bundle_format
from scoring.bundle import Bundle
from scoring.pointers import Version
from stream_features.spec import Spec
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.training import bundles, pointers


@click.command()
@click.argument("bundle")
@click.option("--reason", default="", help="Kept in the pointer, for whoever asks later.")
@click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The feature spec; by default the project's own.",
)
@stage_options
def command(bundle: str, reason: str, spec_path: Path | None, stage: str | None, yes: bool) -> None:
    """Make BUNDLE (a folder, or the version of a registered one) the champion of a stack.

    Functions take it into use within a minute, without a restart. `rollback` returns to the one before.
    """
    stack = target(stage, yes)
    version, content = _registered(stack, bundle)
    refuse_other_features(content, read_spec(spec_path))
    moved = pointers.point(stack.client("ssm"), stack.outputs["PointerPrefix"], version, reason)
    before = f", before it {moved.previous.version}" if moved.previous else ""
    click.echo(f"{stack.name}: champion is {moved.version}{before}", err=True)


def _registered(stack: TargetStack, bundle: str) -> tuple[Version, Bundle]:
    """The version in the stack's bucket, put there first if a folder is given."""
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    name = bundles.register(s3, bucket, Path(bundle)).version if Path(bundle).is_dir() else bundle
    found = bundles.find(s3, bucket, name)
    if found is None:
        raise InvalidInputError(f"{bundle}: neither a folder here nor a version registered in {stack.name}")
    return found


def refuse_other_features(bundle: Bundle, spec: Spec) -> None:
    """InvalidInputError if the spec does not serve what the model asks for: every decision would be the
    fallback.
    """
    if bundle_format.columns(bundle, spec.feature_names, spec.definition_hashes) is None:
        served = dict(zip(spec.feature_names, spec.definition_hashes, strict=True))
        wrong = [f.name for f in bundle.features if served.get(f.name) != f.definition]
        raise InvalidInputError(
            f"bundle {bundle.version} needs features that the spec does not define in the same way: "
            f"{', '.join(wrong)}; train on features of this spec, or give the bundle's own with --spec"
        )
