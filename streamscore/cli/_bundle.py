"""The bundle a command is given: a folder here, or the version of a registered one."""

from pathlib import Path

from streamscore.cli._stack import TargetStack
from streamscore.promotion import examined
from streamscore.promotion.examined import Candidate
from streamscore.training import bundles


def candidate(stack: TargetStack, bundle: str) -> Candidate:
    """The version in the stack's bucket, opened; put there first if a folder is given."""
    if Path(bundle).is_dir():
        s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
        bundle = bundles.register(s3, bucket, Path(bundle)).version
    return examined.candidate(stack, bundle)
