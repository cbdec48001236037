"""The `streamscore` command: one module a command, found by name and imported only when called."""

import importlib
import sys
from pathlib import Path

import click

from common.errors import StreamscoreError


class LazyCommands(click.Group):
    """Commands are the modules beside this one; each defines `command` (`load-state`: load_state.py)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, sorted."""
        here = Path(__file__).parent
        return sorted(
            p.stem.replace("_", "-")
            for p in here.glob("*.py")
            if p.stem not in {"main", "__init__"} and not p.stem.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"streamscore.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="streamscore")
def cli() -> None:
    """Real-time scoring of every event on a Kinesis stream."""


def main() -> None:
    """Run the command; one of our own errors is one line on stderr and exit code 2, an interruption 130."""
    try:
        cli.main(standalone_mode=False)
    except StreamscoreError as error:
        click.echo(f"streamscore: {error}", err=True)
        sys.exit(2)
    except click.exceptions.Abort:
        _say_interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except BaseException as error:
        if not _polars_was_interrupted(error):
            raise
        _say_interrupted()


def _say_interrupted() -> None:
    click.echo("streamscore: interrupted", err=True)
    sys.exit(130)


def _polars_was_interrupted(error: BaseException) -> bool:
    """A signal that comes while polars asks Python for something is a panic there; it names it."""
    return type(error).__name__ == "PanicException" and KeyboardInterrupt.__name__ in str(error)
