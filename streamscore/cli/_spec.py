"""The `--spec` option: the feature spec a command works with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.errors import InvalidInputError
from stream_features.spec import Spec, parse

SHIPPED = Path(__file__).parents[2] / "src" / "features.toml"


def spec_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--spec FILE`, by default the `src/features.toml` that ships."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option("--spec", "spec_path", type=path, default=SHIPPED, help="The feature spec.")(command)


def read_spec(path: Path) -> Spec:
    """The spec in `path`; InvalidInputError names the line that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: the spec cannot be read: {error}") from error
    return parse(text, str(path))
