"""`streamscore forget`: nothing is kept of one entity, and a receipt says so."""

import json
import sys

import click

from common.errors import InvalidInputError
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._stack import target
from streamscore.entity_keys import kept_id
from streamscore.erasure.erase import Erasure, now_ms
from streamscore.erasure.whom import whom
from streamscore.parity import served


@click.command()
@click.argument("entity")
@click.argument("value")
@click.option("--dry-run", is_flag=True, help="Look for it once, say what would go, and change nothing.")
@click.option("--yes", is_flag=True, help="Erase. Without it the price is shown, and that is all.")
@click.option(
    "--stage", metavar="STAGE", help="Act on the AWS stack streamscore-STAGE instead of the local one."
)
@click.option("--json", "as_json", is_flag=True, help="The receipt as JSON on standard output.")
def command(entity: str, value: str, dry_run: bool, yes: bool, stage: str | None, as_json: bool) -> None:
    """Erase an entity (customer 4711) from state, decisions, quarantine, given-up batches, exports and what
    retraining keeps; - reads VALUE from standard input.

    It looks until a pass finds nothing that had arrived before; run it again if it broke off. The receipt
    names the entity by a keyed hash, and what holds copies still, until when. What arrives later is kept
    anew. docs/security.md says more. Exits 1 if something is left.
    """
    if dry_run and yes:
        raise InvalidInputError("--dry-run and --yes: choose one")
    value = sys.stdin.readline().rstrip("\r\n") if value == "-" else value
    stack = target(stage, yes=True)  # without this command's own --yes nothing is changed on any stage
    spec = served.running_spec(stack)
    who = whom(spec, entity, kept_id(stack, spec, entity, value), value)
    run = Erasure(stack, stack.name, who, not yes, now_ms)
    extent = run.extent()
    click.echo("\n".join(extent.lines()), err=True)
    if not (yes or dry_run):
        raise InvalidInputError("nothing is erased yet; --dry-run says what would be, --yes erases it")
    receipt = run.run(TerminalProgress())
    told = {"price": extent.as_json(), **receipt.as_json()}
    click.echo(json.dumps(told) if as_json else "\n".join(receipt.lines()))
    if not (receipt.dry_run or receipt.is_whole):
        sys.exit(1)
