"""Build the image of the training jobs: upload what it is made of, start the stack's CodeBuild project, wait.

What is uploaded is what git has at HEAD of `src`, `streamscore`, `locks` and `training-image`.
"""

import argparse
import io
import subprocess
import sys
import time
from typing import Any

from common.errors import InvalidInputError, StreamscoreError
from streamscore.cli._stack import TargetStack, target

KEY = "training-image/source.zip"
PARTS = ("src", "streamscore", "locks", "training-image")
_LOOK_S = 10


def main() -> int:
    """0 once the image is in the registry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", required=True)
    parser.add_argument("--yes", action="store_true", help="needed for prod")
    given = parser.parse_args()
    try:
        build(target(given.stage, given.yes))
    except StreamscoreError as error:
        print(f"training_image: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


def build(stack: TargetStack) -> None:
    """Upload, start and wait; InvalidInputError if the stack has no project, or the build fails."""
    name = stack.outputs.get("TrainingImageBuildName")
    if name is None:
        raise InvalidInputError(f"{stack.name}: builds no image; deploy it with Retraining=enabled first")
    archive = subprocess.run(  # noqa: S603
        ["git", "archive", "--format=zip", "HEAD", *PARTS],  # noqa: S607
        check=True,
        capture_output=True,
    ).stdout
    stack.client("s3").upload_fileobj(io.BytesIO(archive), stack.outputs["DataBucketName"], KEY)
    codebuild = stack.client("codebuild")
    started = codebuild.start_build(projectName=name)["build"]["id"]
    print(f"{stack.name}: {started}", file=sys.stderr)  # noqa: T201
    ended = _end_of(codebuild, started)
    if ended["buildStatus"] != "SUCCEEDED":
        link = ended.get("logs", {}).get("deepLink", "its log in CloudWatch")
        raise InvalidInputError(f"the build ended {ended['buildStatus']}: {link}")


def _end_of(codebuild: Any, build_id: str) -> dict[str, Any]:
    while True:
        [found] = codebuild.batch_get_builds(ids=[build_id])["builds"]
        if found["buildStatus"] != "IN_PROGRESS":
            return dict(found)
        time.sleep(_LOOK_S)


if __name__ == "__main__":
    sys.exit(main())
