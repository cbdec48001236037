"""`streamscore init`: a first features.toml from a sample of events."""

from pathlib import Path

import click

from common.errors import InvalidInputError
from stream_features.spec import parse
from streamscore.first_spec.guesses import Guesses, guessed
from streamscore.first_spec.profiles import profiles
from streamscore.first_spec.written import written
from streamscore.training.tables import read_tables


@click.command()
@click.argument("sample", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; by default stdout. A file that is there is never overwritten.",
)
def command(sample: Path, output: Path | None) -> None:
    """Write a first features.toml from FILE (.csv, .csv.gz, .csv.xz, .jsonl, .parquet), guesses marked."""
    text = written(_guesses(sample), sample.name)
    spec = parse(text, str(output or "the first spec"))
    if output is None:
        click.echo(text, nl=False)
    else:
        _write_new(output, text)
    tables = list(read_tables(sample, spec))
    rows, refused = sum(t.rows.height for t in tables), sum(len(t.refusals) for t in tables)
    more = f"; {refused:,} would be refused, `streamscore check` says why" if refused else ""
    click.echo(f"{rows:,} rows of {sample} fit it{more}", err=True)


def _guesses(sample: Path) -> Guesses:
    columns = profiles(sample)
    try:
        return guessed(columns)
    except InvalidInputError as error:
        raise InvalidInputError(f"{sample}: {error}") from error


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InvalidInputError(f"{path}: is there already and stays; name another") from error
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot be written: {error.strerror}") from error
