"""The stretch of time that several commands look back over."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from common.errors import InvalidInputError
from streamscore.cli._moment import moment_or_ago_ms


def stretch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--since` and `--until`, which `stretch_of` reads."""
    since = click.option(
        "--since", metavar="TIME", default="24h", show_default=True, help="A time, or how long ago."
    )
    until = click.option("--until", metavar="TIME", help="Before then; by default now.")
    return since(until(command))


def stretch_of(since: str, until: str | None) -> tuple[datetime, datetime]:
    """[since, until); InvalidInputError if there is no time between them."""
    now = datetime.now(UTC)
    now_ms = int(now.timestamp() * 1000)
    first, end = moment_or_ago_ms(since, "--since", now_ms), moment_or_ago_ms(until, "--until", now_ms)
    begins, ends = _at(first or 0), now if end is None else _at(end)
    if begins >= ends:
        what = f"--until {until}" if until else "now"
        raise InvalidInputError(f"--since {since}: is not before {what}; look further back")
    return begins, ends


def _at(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
