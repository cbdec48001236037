"""`streamscore models`: what is registered in a stack, and what decides."""

import json
from typing import Any

import click

from scoring.bundle import Bundle
from scoring.pointers import Pointer
from streamscore.cli._stack import stage_options, target
from streamscore.training import bundles, pointers


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@stage_options
def command(as_json: bool, stage: str | None, yes: bool) -> None:
    """List the registered bundles, oldest training data first; the champion is marked."""
    stack = target(stage, yes)
    pointer = pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"])
    found = [bundle for _, bundle in bundles.registered(stack.client("s3"), stack.outputs["DataBucketName"])]
    rows = [_row(bundle, pointer) for bundle in sorted(found, key=lambda b: (_trained_until(b), b.version))]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo(f"{stack.name}: no bundle is registered; `streamscore promote BUNDLE` is next", err=True)
    for row in rows:
        metrics = f"AUC {row['roc_auc'] or 0:.4f}  AP {row['average_precision'] or 0:.4f}"
        click.echo(f"{row['version']}  {row['role']:<9} {metrics}  trained until {row['trained_until'][:10]}")


def _row(bundle: Bundle, pointer: Pointer | None) -> dict[str, Any]:
    role = ""
    if pointer and pointer.version == bundle.version:
        role = "champion"
    elif pointer and pointer.previous and pointer.previous.version == bundle.version:
        role = "previous"
    return {
        "version": bundle.version,
        "role": role,
        "estimator": bundle.estimator,
        "trained_until": _trained_until(bundle),
        "roc_auc": bundle.metrics.get("roc_auc"),
        "average_precision": bundle.metrics.get("average_precision"),
    }


def _trained_until(bundle: Bundle) -> str:
    """For a model trained elsewhere, when what it was proven on began."""
    return bundle.train.until if bundle.train else bundle.test.since
