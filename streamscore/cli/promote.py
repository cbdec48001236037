"""`streamscore promote`: let a bundle decide."""

import json
import time
from collections.abc import Sequence

import click
import msgspec

from common.errors import InvalidInputError, ModelRefusedError
from scoring.pointers import CHALLENGER, NOTHING, Pointer
from streamscore.cli._bundle import candidate
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.promotion import examined
from streamscore.promotion.examined import Candidate
from streamscore.promotion.gate import Check
from streamscore.training import pointers


@click.command()
@click.argument("bundle")
@click.option("--reason", default="", help="Kept in the pointer's history, for whoever asks later.")
@click.option("--force", is_flag=True, help="Although checks of the gate fail; needs --reason.")
@click.option("--json", "as_json", is_flag=True, help="Print the pointer and the checks as JSON.")
@stage_options
def command(bundle: str, reason: str, force: bool, as_json: bool, stage: str | None, yes: bool) -> None:
    """Make BUNDLE (a folder, or the version of a registered one) the champion of a stack.

    It must pass the gate: its conversion is proven, the deployed spec serves its features, it keeps to the
    budget, and on enough matured labels it ranks no worse than the champion. The first champion has none to
    be compared with. Functions follow within a minute, without a restart; `rollback` goes back.
    """
    if force and not reason.strip():
        raise InvalidInputError("--force needs --reason: it is kept, for whoever asks later")
    stack = target(stage, yes)
    asked = candidate(stack, bundle)
    if _is_champion(stack, asked):
        click.echo(f"{stack.name}: {asked.version.version} is the champion already", err=True)
        checks: list[Check] = []
    else:
        with TerminalProgress().step("Examine") as step:
            checks = examined.whole_gate(stack, asked, time.time_ns() // 1_000_000)
            step.note(f"{sum(check.held for check in checks)} of {len(checks)} checks held")
        tell(checks)
    failed = tuple(check.name for check in checks if not check.held)
    if failed and not force:
        raise ModelRefusedError(
            f"{stack.name}: {asked.version.version} is not promoted, the champion stays: {', '.join(failed)} "
            "failed (above, with what mends it); --force --reason TEXT overrules the gate"
        )
    moved = _promote(stack, asked, reason, failed)
    if as_json:
        told = msgspec.to_builtins({"pointer": moved, "checks": checks})
        click.echo(json.dumps(told))


def tell(checks: Sequence[Check]) -> None:
    """The checks, a line each, what mends a failed one below it."""
    for check in checks:
        click.echo(f"{'held  ' if check.held else 'FAILED'}  {check.name}: {check.seen}", err=True)
        if check.mend:
            click.echo(f"        {check.mend}", err=True)


def _is_champion(stack: TargetStack, asked: Candidate) -> bool:
    pointer = examined.champion(stack)
    return pointer is not None and pointer.current == asked.version


def _promote(stack: TargetStack, asked: Candidate, reason: str, failed: tuple[str, ...]) -> Pointer:
    """Move the pointer; a challenger that became champion is no challenger any more."""
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    moved = pointers.promote(ssm, prefix, asked.version, reason, failed)
    before = f", before it {moved.previous.version}" if moved.previous else ""
    forced = f", although {', '.join(failed)} failed" if failed else ""
    click.echo(f"{stack.name}: champion is {moved.version}{before}{forced}", err=True)
    challenger = pointers.read(ssm, prefix, CHALLENGER)
    if challenger is not None and challenger.current == asked.version:
        pointers.point(ssm, prefix, NOTHING, "it was promoted", CHALLENGER)
        click.echo(f"{stack.name}: nothing is in shadow now", err=True)
    return moved
