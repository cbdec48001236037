"""`streamscore policy`: what decides beside the model, published, forced and taken back without a deploy."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import click

from common.errors import InvalidInputError, ModelRefusedError
from scoring import policy_file, rules
from scoring.pointers import NOTHING, POLICY, Pointer
from scoring.policy import Policy
from streamscore.cli._policy import unreadable
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.policies import published
from streamscore.policies.published import InUse, Place
from streamscore.policies.words import Change, changes, expired, parts
from streamscore.training import pointers

_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_SPEC = click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The feature spec its rules look at; by default the project's own.",
)
_REASON = click.option("--reason", default="", help="Kept in the pointer, for whoever asks later.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("policy")
def command() -> None:
    """What decides beside the model: check, publish, show, force, roll back."""


@command.command()
@_FILE
@_SPEC
@_JSON
def check(file: Path, spec_path: Path | None, as_json: bool) -> None:
    """Whether FILE is a policy for the spec; touches no stack."""
    _, policy = _read(file, spec_path)
    found, notes = parts(policy), _notes(policy)
    if as_json:
        click.echo(json.dumps({"version": policy.version, "parts": found, "notes": notes}))
        return
    for what, words in found.items():
        click.echo(f"{what}: {words}")
    for note in notes:
        click.echo(note, err=True)
    click.echo(f"{file} is policy {policy.version}", err=True)


@command.command()
@_FILE
@_SPEC
@_REASON
@_JSON
@stage_options
def publish(
    file: Path, spec_path: Path | None, reason: str, as_json: bool, stage: str | None, yes: bool
) -> None:
    """Let FILE decide, and show what that changes. Functions follow within a minute."""
    text, policy = _read(file, spec_path)
    stack = target(stage, yes)
    place = Place.of(stack)
    differing = _changes(place, policy)
    version, _ = published.publish(place, text, str(file))
    moved = pointers.point(place.ssm, place.prefix, version, reason, POLICY)
    for note in _notes(policy):
        click.echo(note, err=True)
    _tell(stack, moved, differing, as_json)


@command.command()
@click.argument("decision", type=click.Choice(policy_file.FORCIBLE))
@_REASON
@_JSON
@stage_options
def force(decision: str, reason: str, as_json: bool, stage: str | None, yes: bool) -> None:
    """Make every decision DECISION, whatever score, rules and overrides say: the kill switch.

    What would have fired is still recorded, after the rule `force`. `rollback` ends it.
    """
    stack = target(stage, yes)
    place = Place.of(stack)
    text, is_forced = _to_force(place)
    version, policy = published.publish(place, published.forced(text, decision), "the forced policy")
    differing = _changes(place, policy)
    move = pointers.instead if is_forced else pointers.point
    moved = move(place.ssm, place.prefix, version, reason or f"force {decision}", POLICY)
    _tell(stack, moved, differing, as_json)


@command.command()
@click.option("--reason", default="rollback", show_default=True, help="Kept in the pointer.")
@_JSON
@stage_options
def rollback(reason: str, as_json: bool, stage: str | None, yes: bool) -> None:
    """Return to the policy before, which ends a `force` too. Twice goes two back."""
    stack = target(stage, yes)
    place = Place.of(stack)
    before = _parsed(place)
    moved = pointers.back(place.ssm, place.prefix, reason, POLICY)
    after = _parsed(place)
    _tell(stack, moved, changes(before, after) if before and after else None, as_json)


@command.command()
@_JSON
@stage_options
def show(as_json: bool, stage: str | None, yes: bool) -> None:
    """Print the policy in use, since when and why."""
    stack = target(stage, yes)
    found = published.in_use(Place.of(stack))
    policy = policy_file.parse(found.text)
    if as_json:
        click.echo(json.dumps(_as_json(found, policy)))
        return
    click.echo(f"{stack.name}: policy {policy.version}, {_origin(found)}", err=True)
    if policy.force:
        click.echo(f"every decision is forced: {policy.force}", err=True)
    for note in _notes(policy):
        click.echo(note, err=True)
    click.echo(found.text, nl=not found.text.endswith("\n"))


def _read(file: Path, spec_path: Path | None) -> tuple[str, Policy]:
    """FILE's text and policy, checked against the spec."""
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error) from error
    policy = policy_file.parse(text, str(file))
    rules.check(policy, read_spec(spec_path))
    return text, policy


def _parsed(place: Place) -> Policy | None:
    """The policy in use; None, said on stderr, if it cannot be had: that must not keep a better one away."""
    try:
        return policy_file.parse(published.in_use(place).text, "the policy in use")
    except (InvalidInputError, ModelRefusedError) as error:
        click.echo(f"what changes cannot be shown: {error}", err=True)
        return None


def _changes(place: Place, policy: Policy) -> list[Change] | None:
    before = _parsed(place)
    return None if before is None else changes(before, policy)


def _to_force(place: Place) -> tuple[str, bool]:
    """The text to force, and whether it is forced already; an empty one if what is in use cannot be had."""
    policy = _parsed(place)
    if policy is None:
        return "", False
    return published.in_use(place).text, policy.force is not None


def _tell(stack: TargetStack, moved: Pointer, differing: Sequence[Change] | None, as_json: bool) -> None:
    """What is in use now, and what that changed."""
    if as_json:
        listed = None if differing is None else [change._asdict() for change in differing]
        previous = moved.previous.version if moved.previous else ""
        click.echo(json.dumps({"version": moved.version, "previous": previous, "changes": listed}))
        return
    for change in differing or ():
        click.echo(str(change))
    if differing is not None and not differing:
        click.echo("nothing changes in what it says", err=True)
    what = "the one that ships" if moved.current == NOTHING else moved.version
    click.echo(f"{stack.name}: the policy is {what}; decisions follow within a minute", err=True)


def _notes(policy: Policy) -> list[str]:
    """What may be meant, and may not."""
    now_ms = time.time_ns() // 1_000_000
    used = {condition.listed for rule in policy.rules for condition in (*rule.all, *rule.any)}
    notes = [f"note: no rule uses list {name}" for name in policy.lists if name not in used]
    for name, values in policy.lists.items():
        if gone := expired(values, now_ms):
            notes.append(f"note: {gone} of {len(values)} values of list {name} have expired")
    return notes


def _origin(found: InUse) -> str:
    if found.pointer is None or found.ships:
        return "which ships with the code (as it is here)"
    reason = f" ({found.pointer.reason})" if found.pointer.reason else ""
    return f"published {found.pointer.at}{reason}"


def _as_json(found: InUse, policy: Policy) -> dict[str, object]:
    pointer = found.pointer
    return {
        "version": policy.version,
        "ships": found.ships,
        "force": policy.force,
        "at": pointer.at if pointer else "",
        "reason": pointer.reason if pointer else "",
        "previous": pointer.previous.version if pointer and pointer.previous else "",
        "parts": parts(policy),
        "text": found.text,
    }
