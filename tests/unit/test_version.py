"""The version is said by the command, and its formats are kept."""

import tomllib
from pathlib import Path

from click.testing import CliRunner

from streamscore.cli.main import cli
from tests import frozen

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_command_says_the_projects_version() -> None:
    said = CliRunner().invoke(cli, ["--version"], prog_name="streamscore").output
    assert said == f"streamscore, version {PROJECT['version']}\n"


def test_what_this_version_writes_is_kept_for_the_next_one_to_read() -> None:
    assert (frozen.FORMATS / PROJECT["version"]).is_dir(), "python -m tests.frozen, see there"
