"""`streamscore estimate`: what a load would cost, how far it carries, and what to change first."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from common.errors import InvalidInputError
from monitor.cost import NAMES, Sums
from streamscore.cli._stack import stage_options, target
from streamscore.cli._stretch import stretch_of, stretch_options
from streamscore.estimate import against, price_file, text
from streamscore.estimate.estimate import estimate
from streamscore.estimate.price_file import PriceTable
from streamscore.estimate.workload import Workload, profile_of
from streamscore.monitoring import metered_sums

_DEFAULT = Workload()
_OPTIONS: tuple[tuple[str, str, type, str], ...] = (
    ("--events-per-s", "events_per_s", float, "Events a second, the mean over a day."),
    ("--event-bytes", "event_bytes", int, "Bytes of an event's record."),
    ("--labels-share", "labels_share", float, "Label records for each event."),
    ("--flagged-share", "flagged_share", float, "Part of events reviewed or blocked."),
    ("--entities-per-event", "entities_per_event", int, "Primary and shared entities of an event."),
    ("--entities", "entities", int, "Primary entities there are."),
    ("--shared-entities", "shared_entities", int, "Shared entities there are."),
    ("--hot-share", "hot_share", float, "Part of events at the busiest shared entity."),
    ("--state-bytes", "state_bytes", int, "Mean bytes of a primary entity's item."),
    ("--shared-bytes", "shared_bytes", int, "Mean bytes of a shared entity's item."),
    ("--decision-bytes", "decision_bytes", int, "Mean bytes of a decision."),
    ("--retention-days", "retention_days", int, "How long decisions are kept."),
    ("--batch", "batch", float, "Records an invocation; by default as the rate gives."),
    ("--shards", "shards", int, "Shards; by default as the peak needs."),
    ("--api-per-s", "api_per_s", float, "Requests a second to POST /predict."),
    ("--model-mb", "model_mb", float, "Size of the model."),
    ("--load-ms", "load_ms", float, "How long the model loads."),
    ("--memory-mb", "memory_mb", int, "Memory of a function."),
    ("--concurrency", "concurrency", int, "Invocations the account may run at once."),
    ("--call-ms", "call_ms", float, "How long a DynamoDB call takes."),
)


def _workload_options[F: Callable[..., Any]](function: F) -> F:
    for flag, name, kind, help_text in reversed(_OPTIONS):
        default = getattr(_DEFAULT, name)
        function = click.option(
            flag, name, type=kind, default=default, show_default=default is not None, help=help_text
        )(function)
    return function


@click.command()
@_workload_options
@click.option(
    "--profile", metavar="P|F,…", default="1", show_default=True, help="Peak over mean, or 24 loads."
)
@click.option("--on-demand", is_flag=True, help="The stream is on demand, not provisioned.")
@click.option("--fan-out", is_flag=True, help="Lambda reads by enhanced fan-out.")
@click.option(
    "--prices", metavar="FILE", type=Path, help="A price table, TOML or JSON, instead of the built-in one."
)
@click.option("--from-metered", is_flag=True, help="Check the estimate against what a stack metered.")
@stretch_options
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(profile: str, prices: Path | None, as_json: bool, **given: Any) -> None:
    """Estimate a load: the month's bill by component, latency, the first quota that binds, what to change.

    The defaults are what this project measured. What every figure is made of: docs/cost.md. With
    --from-metered, exits 1 if the estimate is more than 15 % off.
    """
    table = price_file.load(prices)
    checking, stage, yes = (given.pop(name) for name in ("from_metered", "stage", "yes"))
    since, until = given.pop("since"), given.pop("until")
    workload = Workload(**given, profile=profile_of(_numbers(profile)))
    if checking:
        stretch = stretch_of(since, until)
        sums = metered_sums(target(stage, yes), *stretch, {*NAMES, *against.NAMES})
        _check(workload, table, sums, as_json)
        return
    found = estimate(workload, table)
    click.echo(json.dumps(text.to_data(found)) if as_json else "\n".join(text.lines(found)))


def _check(workload: Workload, table: PriceTable, sums: Sums, as_json: bool) -> None:
    found = against.check(workload, sums, table.prices)
    click.echo(json.dumps(text.check_data(found)) if as_json else "\n".join(text.check_lines(found)))
    if not found.holds:
        raise click.exceptions.Exit(1)


def _numbers(profile: str) -> list[float]:
    try:
        return [float(part) for part in profile.split(",")]
    except ValueError:
        raise InvalidInputError(f"--profile {profile}: numbers are wanted, separated by commas") from None
