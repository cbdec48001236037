"""`streamscore parity`: were the served vectors what a backfill computes?"""

import sys
from pathlib import Path

import click
import msgspec

from common.errors import InvalidInputError
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import stage_options, target
from streamscore.demo import contents
from streamscore.demo.checks import Check, Parity, Vectors, line_up, parity_by_feature, vectors_equal_backfill
from streamscore.training.backfill import backfill


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Another features.toml.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(events: Path, spec_path: Path | None, stage: str | None, yes: bool, as_json: bool) -> None:
    """Compare every decision's feature vector with the backfill of EVENTS, feature by feature, bit for bit.

    EVENTS must hold the history of the events decided, not only those. Exits 1 if any value differs.
    """
    stack, spec = target(stage, yes), read_spec(spec_path)
    with TerminalProgress().step("Read decisions", "decisions") as step:
        decided = contents.decisions(stack)
        step.advance(len(decided))
    with TerminalProgress().step("Backfill", "events") as step:
        whole = backfill(spec, events)
        step.advance(len(whole.ids))
    rows = [row for row, id_ in enumerate(whole.ids.to_list()) if id_ in decided]
    if not rows:
        raise InvalidInputError(f"{events}: the stack has decided none of these events")
    ids = whole.ids.gather(rows).to_list()
    served = {id_: decided[id_].vector for id_ in ids}
    _show(line_up(spec.feature_names, ids, whole.features[rows], served), as_json)


def _show(vectors: Vectors, as_json: bool) -> None:
    by_feature, check = parity_by_feature(vectors), vectors_equal_backfill(vectors)
    if as_json:
        click.echo(msgspec.json.encode({"check": check, "features": by_feature}).decode())
    else:
        click.echo("\n".join(_lines(by_feature, check)))
    if not check.held:
        sys.exit(1)


def _lines(by_feature: list[Parity], check: Check) -> list[str]:
    width = max(len(one.feature) for one in by_feature)
    head = f"{'feature':<{width}}  {'compared':>10}  {'different':>10}  largest difference"
    rows = [
        f"{one.feature:<{width}}  {one.compared:>10,}  {one.different:>10,}  {one.largest_difference:g}"
        for one in by_feature
    ]
    return [head, *rows, "", f"{'held' if check.held else 'FAILED'}: {check.detail}"]
