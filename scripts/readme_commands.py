"""Write README's command list from the commands' own help, or with --check fail if it is out of date."""

import sys
from pathlib import Path

import click

from streamscore.cli.main import cli

README = Path(__file__).parent.parent / "README.md"
START, END = "<!-- commands:start -->", "<!-- commands:end -->"


def table() -> str:
    """One row a command: its usage and the first line of its help."""
    context = click.Context(cli, info_name="streamscore")
    rows = ["| command | what it does |", "|---|---|"]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None:
            raise LookupError(name)
        usage = " ".join([name, *command.collect_usage_pieces(click.Context(command, info_name=name))])
        rows.append(f"| `{usage.replace('|', chr(92) + '|')}` | {command.get_short_help_str(limit=160)} |")
    return "\n".join(rows)


def rendered(text: str) -> str:
    """README with the list between its two marks replaced."""
    head, rest = text.split(START)
    _, tail = rest.split(END)
    return f"{head}{START}\n{table()}\n{END}{tail}"


if __name__ == "__main__":
    now = README.read_text()
    if "--check" in sys.argv:
        sys.exit(0 if now == rendered(now) else "README's command list is out of date: run `make readme`")
    README.write_text(rendered(now))
