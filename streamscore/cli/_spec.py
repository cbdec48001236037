"""Which features.toml a command works with."""

from pathlib import Path

import click
import msgspec

from common.errors import InvalidInputError
from common.settings import code_root
from stream_features.spec import Spec, from_json, parse

spec_option = click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The feature spec, or a published one (.json); by default the project's own.",
)


def read_spec(path: Path | None) -> Spec:
    """The spec in ``path``, else the project's own; InvalidInputError says what is wrong and where."""
    path = path or code_root() / "features.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: cannot be read as a spec: {error}") from error
    if path.suffix != ".json":
        return parse(text, str(path))
    try:
        return from_json(text)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"{path}: is no published spec: {error}") from error
