"""Where decisions come from: data → features → model → decisions, and who moved the pointer."""

import re
from collections.abc import Mapping
from typing import Any

from common.errors import ModelRefusedError
from scoring.bundle import Bundle, Period
from scoring.pointers import CHAMPION, Pointer
from streamscore.decided.decisions_log import Stack
from streamscore.report.content import Lineage, Move
from streamscore.report.parts import Table, number
from streamscore.retraining import following
from streamscore.training import bundles, pointers

_RUN = re.compile(r"r-\d{8}-\d{6}-[0-9a-f]{6}(?=: )")
"""How the reason of a move begins that a run of retraining made."""
_SHOWN = 10


def lineage(stack: Stack, decided: Mapping[str, int]) -> Lineage | None:
    """Of the champion; `decided` counts decisions by model version. None if nothing was ever promoted."""
    history = pointers.history(stack.client("ssm"), stack.outputs["PointerPrefix"], CHAMPION)
    if not history or not history[0].version:
        return None
    version = history[0].version
    promoted = next((m for m in history if m.version == version and not m.back), history[0])
    bundle = _bundle(stack, version)
    steps = (
        ("data", _data(stack, promoted, bundle)),
        ("features", _features(bundle)),
        ("model", _model(version, bundle)),
        ("decisions", f"{number(decided.get(version, 0))} in this time"),
    )
    return Lineage(steps, tuple(_move(move) for move in history[:_SHOWN]))


def ways(found: Lineage) -> tuple[Table, Table]:
    """The lineage and the moves, as the page shows them."""
    steps = Table("From data to decisions", ("", "of the champion"), found.steps, frozenset({0, 1}))
    moves = tuple(
        (move.at.replace("T", " ").rstrip("Z"), move.model, move.what, move.why) for move in found.moves
    )
    head = ("when (UTC)", "champion", "what", "who and why")
    return steps, Table("Who moved the pointer", head, moves, frozenset({0, 1, 2, 3}))


def _move(move: Pointer) -> Move:
    what = (
        "rolled back"
        if move.back
        else "forced"
        if move.forced
        else "promoted"
        if move.version
        else "withdrawn"
    )
    return Move(move.at, move.version, what, move.reason)


def _bundle(stack: Stack, version: str) -> Bundle | None:
    try:
        found = bundles.find(stack.client("s3"), stack.outputs["DataBucketName"], version)
    except ModelRefusedError:
        return None
    return found[1] if found else None


def _data(stack: Stack, move: Pointer, bundle: Bundle | None) -> str:
    """What a run of retraining assembled; of a model trained by hand, what its bundle says."""
    run = _RUN.match(move.reason)
    found = _found(stack, run[0]) if run else {}
    if found:
        files = ", ".join(found["files"]) or "no new file"
        return (
            f"run {run[0] if run else ''}: {number(found['served'])} decisions as served, with labels, "
            f"{number(found['raw'])} events of raw data ({files}), equal in {found['agreement']:.2%} of the "
            f"{number(found['overlap'])} that are in both"
        )
    return _period(bundle.train) if bundle and bundle.train else "not known: the model was trained elsewhere"


def _found(stack: Stack, run: str) -> dict[str, Any]:
    asked, made = (
        following.result_of(stack, run, f"{name}.json") for name in ("request", "AssembleTrainingSet")
    )
    return {**made, "files": asked.get("objects", [])} if made else {}


def _features(bundle: Bundle | None) -> str:
    if bundle is None:
        return "not known"
    spec = bundle.spec_sha256[:16]
    return f"{number(len(bundle.features))} of spec {spec}, point in time, by the code that serves"


def _model(version: str, bundle: Bundle | None) -> str:
    if bundle is None:
        return f"{version}: its bundle cannot be read"
    names = (("ROC AUC", "roc_auc"), ("average precision", "average_precision"))
    tested = ", ".join(f"{name} {bundle.metrics[key]:.4f}" for name, key in names if key in bundle.metrics)
    proof = f"proven on {number(bundle.conversion.rows)} rows"
    trained = _period(bundle.train) if bundle.train else "trained elsewhere"
    return f"{version}: {bundle.estimator}, {trained}; tested on {_period(bundle.test)}: {tested}; {proof}"


def _period(period: Period) -> str:
    rows, positives = number(period.rows), number(period.positives)
    return f"{rows} events from {period.since[:10]} to {period.until[:10]}, {positives} positive"
