"""Bad input to load-state is one line, before anything is read or written."""

import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from streamscore.cli.load_state import command


@pytest.mark.parametrize("until", ["soon", "2026-13-01", "2026-11-24T25:00:00Z", "", "20261124"])
def test_a_moment_that_is_none_is_refused_with_an_example(until):
    result = CliRunner().invoke(command, ["events.csv", "--until", until])
    assert isinstance(result.exception, InvalidInputError)
    assert "2026-11-24T12:30:00Z" in str(result.exception)


def test_without_a_stack_the_command_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["events.csv", "--until", "2024-11-24"])
    assert isinstance(result.exception, InvalidInputError)
    assert "local up" in str(result.exception)


def test_a_cut_over_in_the_future_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["events.csv", "--until", "2999-01-01"])
    assert isinstance(result.exception, InvalidInputError)
    assert "lies in the future" in str(result.exception)
