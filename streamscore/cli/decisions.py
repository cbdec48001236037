"""`streamscore decisions`: what was decided over a stretch of time, a line a decision."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator

import click

from common.errors import InvalidInputError, TransientError
from scoring.policy import ACTIONS
from stream_features.spec_model import Spec
from streamscore.cli._moment import moment_or_ago_ms
from streamscore.cli._progress import told
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.decided import listed
from streamscore.decided.decisions_log import decisions_log
from streamscore.decided.shown import shown, to_json
from streamscore.decided.stored import Decided
from streamscore.entity_keys import kept_id
from streamscore.parity import served

_PRIVATE = frozenset({"entity", "entities"})


@click.command()
@click.option("--since", metavar="TIME", default="24h", show_default=True, help="A time, or how long ago.")
@click.option("--until", metavar="TIME", help="Before then; by default now.")
@click.option("--decision", "actions", type=click.Choice(ACTIONS), multiple=True, help="Only these.")
@click.option("--entity", metavar="NAME VALUE", nargs=2, help="Only those about it: --entity customer 4711")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a header.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, as `decision` shows one.")
@click.option("--entities", "with_entities", is_flag=True, help="With the ids of customers, terminals, …")
@stage_options
def command(
    since: str,
    until: str | None,
    actions: tuple[str, ...],
    entity: tuple[str, str] | None,
    as_csv: bool,
    as_json: bool,
    with_entities: bool,
    stage: str | None,
    yes: bool,
) -> None:
    """List decisions as they come from the log, in no order: `| sort` puts them in that of time.

    Ids of entities may be card numbers: they are left out unless --entities asks for them.
    """
    if as_csv and as_json:
        raise InvalidInputError("--csv and --json: choose one")
    since_ms, until_ms = moment_or_ago_ms(since, "--since"), moment_or_ago_ms(until, "--until")
    stack = target(stage, yes)
    spec = _spec(stack)
    found = _some(stack, decisions_log(stack, since_ms, until_ms, told), actions, entity, spec)
    try:
        if as_csv:
            _write_csv(found, listed.columns_of(spec, with_entities))
        else:
            for line in _json(found, stack, with_entities) if as_json else map(listed.line, found):
                click.echo(line)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _spec(stack: TargetStack) -> Spec | None:
    try:
        return served.running_spec(stack)
    except (InvalidInputError, TransientError) as error:
        click.echo(f"kept fields and entities are not named: {error}", err=True)
        return None


def _some(
    stack: TargetStack,
    found: Iterable[Decided],
    actions: tuple[str, ...],
    entity: tuple[str, str] | None,
    spec: Spec | None,
) -> Iterator[Decided]:
    if actions:
        found = (one for one in found if one.action in actions)
    if entity is None:
        return iter(found)
    name, sent = entity
    names = [known.name for known in spec.entities] if spec else []
    if spec is None or name not in names:
        known = ", ".join(names) or "none, for no spec is published"
        raise InvalidInputError(f"--entity {name}: is none of the stack's entities: {known}")
    value = kept_id(stack, spec, name, sent)
    return (one for one in found if listed.ids_of(one, names).get(name) == value)


def _write_csv(found: Iterable[Decided], columns: listed.Columns) -> None:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(columns.header)
    rows.writerows(listed.record(one, columns) for one in found)


def _json(found: Iterable[Decided], stack: TargetStack, with_entities: bool) -> Iterator[str]:
    specs: dict[str, Spec | None] = {}
    for one in found:
        sha = one.decision.spec_sha
        if sha not in specs:
            specs[sha] = served.specs(stack, [sha]).get(sha)
        told = shown(one.item(), specs[sha])
        yield to_json({n: v for n, v in told.items() if with_entities or n not in _PRIVATE})
