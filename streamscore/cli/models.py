"""`streamscore models`: what is registered in a stack, what decides, and how that came about."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from common.errors import ModelRefusedError
from scoring.bundle import Bundle, trained_until
from scoring.pointers import CHALLENGER, CHAMPION, Pointer
from streamscore.cli._stack import stage_options, target
from streamscore.training import bundles, pointers

_METRICS = ("roc_auc", "average_precision")


@click.command()
@click.option(
    "--history", is_flag=True, help="The champion's moves instead, newest first, with their reasons."
)
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@stage_options
def command(history: bool, as_json: bool, stage: str | None, yes: bool) -> None:
    """List the registered bundles, oldest training data first: role, metrics of its test, age of its data."""
    stack = target(stage, yes)
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    if history:
        moves = pointers.history(ssm, prefix)
        click.echo(json.dumps(msgspec.to_builtins(moves)) if as_json else "\n".join(map(_move, moves)))
        return
    held = {name: _read(ssm, prefix, name) for name in (CHAMPION, CHALLENGER)}
    found = bundles.registered(stack.client("s3"), stack.outputs["DataBucketName"])
    rows = sorted((_row(*one, held) for one in found), key=lambda r: (r["trained_until"] or "", r["version"]))
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(f"{stack.name}: no bundle is registered; `streamscore promote BUNDLE` is next", err=True)
    for row in rows:
        click.echo("\n".join(_lines(row)))


def _read(ssm: Any, prefix: str, name: str) -> Pointer | None:
    """The pointer; one that cannot be read is said on stderr and hides nothing else."""
    try:
        return pointers.read(ssm, prefix, name)
    except ModelRefusedError as error:
        click.echo(
            f"{name}: {error}; functions keep what they run; `promote` or `challenger` mends it", err=True
        )
        return None


def _row(
    version: str, bundle: Bundle | ModelRefusedError, held: Mapping[str, Pointer | None]
) -> dict[str, Any]:
    champion = held[CHAMPION]
    roles = [name for name, pointer in held.items() if pointer and pointer.version == version]
    if champion and champion.previous and champion.previous.version == version:
        roles.append("previous")
    pointer = held.get(roles[0]) if roles else None
    known: dict[str, Any] = {"version": version, "role": roles[0] if roles else ""}
    known |= {"since": pointer.at, "reason": pointer.reason, "forced": pointer.forced} if pointer else {}
    if isinstance(bundle, ModelRefusedError):
        return known | {"trained_until": None, "damaged": str(bundle)}
    age = datetime.now(UTC) - datetime.fromisoformat(trained_until(bundle))
    return known | {
        "estimator": bundle.estimator,
        "trained_until": trained_until(bundle),
        "age_days": round(age.total_seconds() / 86_400, 1),
        **{name: bundle.metrics.get(name) for name in _METRICS},
    }


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    head = f"{row['version']}  {row['role']:<10}"
    if "damaged" in row:
        yield f"{head} damaged: {row['damaged']}"
        return
    auc, precision = (f"{row[name]:.4f}" if row[name] is not None else "-" for name in _METRICS)
    trained = f"trained until {row['trained_until'][:10]} ({row['age_days']:.0f} days ago)"
    yield f"{head} ROC AUC {auc}  AP {precision}  {trained}"
    if "since" in row:
        yield f"{'':18}since {row['since']}{_why(row['reason'], row['forced'])}"


def _move(move: Pointer) -> str:
    kind = "back to" if move.back else "promoted"
    return f"{move.at or '?':<20}  {kind}  {move.version or 'nothing'}{_why(move.reason, move.forced)}"


def _why(reason: str, forced: tuple[str, ...]) -> str:
    overruled = f", forced: {', '.join(forced)} failed" if forced else ""
    return overruled + (f": {reason}" if reason else "")
