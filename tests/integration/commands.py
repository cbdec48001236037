"""Runs a command of streamscore in this process, as a test means it."""

from typing import Any

from click.testing import CliRunner, Result

from common.errors import StreamscoreError
from streamscore.cli.main import cli


def invoke(*arguments: Any) -> Result:
    """What the command said. An error that is not ours is raised: a test would take it for a refusal."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, StreamscoreError | SystemExit):
        raise result.exception
    return result
