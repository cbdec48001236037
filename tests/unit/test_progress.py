import click
import pytest
from click.testing import CliRunner

from streamscore.cli import _progress
from streamscore.cli._progress import TerminalProgress


@click.command()
@click.option("--fail", is_flag=True)
def work(fail: bool) -> None:
    with TerminalProgress().step("Put events", "records") as step:
        step.expect(2_000)
        step.advance(1_500)
        if fail:
            raise click.ClickException("the stream is gone")
        step.advance(500)
        step.note("all of them")
    click.echo("the result")


def test_a_step_is_one_plain_line_on_stderr_and_stdout_holds_the_result_alone() -> None:
    result = CliRunner().invoke(work)

    assert result.stdout == "the result\n"
    (line,) = result.stderr.splitlines()
    assert line.startswith("Put events ")
    assert " s  all of them, " in line
    assert line.endswith(" records/s")


def test_a_long_step_speaks_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_progress, "SILENCE_S", 0)
    assert "Put events: 1,500 of 2,000 records" in CliRunner().invoke(work).stderr


def test_a_step_that_fails_says_nothing_of_itself() -> None:
    assert CliRunner().invoke(work, ["--fail"]).stderr == "Error: the stream is gone\n"
