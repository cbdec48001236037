"""What the image runs: `python -m streamscore.retraining.container STATE RUN` in a processing job, and
`… train ARGUMENTS` in a training job, which is `streamscore train`.

A step leaves `retrain/<run>/<STATE>.json` in the bucket. What fails ends with 1 and says why where SageMaker
looks for it, so that the execution's history has it: `/opt/ml/output/failure` (training) or `message`.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.errors import InvalidInputError, StreamscoreError
from streamscore.retraining.place import Run, place_of

TRAIN = "train"
STATES = ("CheckData", "AssembleTrainingSet", "Evaluate", "Compare")
_MOST_TOLD = 1024


def main(arguments: list[str]) -> int:
    """Do what the arguments ask for; the exit code."""
    try:
        if arguments[:1] == [TRAIN]:
            _train(arguments)
        else:
            state, run = arguments
            _step(state, run)
    except (StreamscoreError, click.ClickException) as error:
        told = error.format_message() if isinstance(error, click.ClickException) else str(error)
        _tell(f"{type(error).__name__}: {told}")
        return 1
    except Exception as error:
        _tell(f"{type(error).__name__}: {error}")
        raise
    return 0


def _train(arguments: list[str]) -> None:
    from streamscore.cli.main import cli  # noqa: PLC0415 - a step needs no commands

    cli.main(arguments, standalone_mode=False)


def _step(state: str, run: str) -> None:
    with tempfile.TemporaryDirectory(prefix="streamscore-") as scratch:
        asked = Run(place_of(), run, Path(scratch))
        asked.write(f"{state}.json", _work_of(state)(asked))


def _work_of(state: str) -> Callable[[Run], dict[str, Any]]:
    """Imported when asked for: a step takes no longer to start than it must."""
    if state == "CheckData":
        from streamscore.retraining.check_data import check_data  # noqa: PLC0415

        return check_data
    if state == "AssembleTrainingSet":
        from streamscore.retraining.assemble import assemble  # noqa: PLC0415

        return assemble
    if state == "Evaluate":
        from streamscore.retraining.evaluate import evaluate  # noqa: PLC0415

        return evaluate
    if state == "Compare":
        from streamscore.retraining.compare import compare  # noqa: PLC0415

        return compare
    raise InvalidInputError(f"{state}: no step; there are {', '.join(STATES)}")


def _tell(text: str) -> None:
    click.echo(text, err=True)
    folder = Path(os.environ.get("STREAMSCORE_ML", "/opt/ml")) / "output"
    if folder.is_dir():
        for name in ("failure", "message"):
            (folder / name).write_text(text[:_MOST_TOLD], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
