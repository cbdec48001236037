"""`streamscore thresholds`: propose a policy's thresholds for a bundle."""

from pathlib import Path

import click

from scoring.bundle import Thresholds
from streamscore.cli._policy import read_policy
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec, spec_option


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.argument("features", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--capacity", type=click.FloatRange(0, min_open=True), metavar="N", help="Reviews people manage in a day."
)
@click.option("--missed-cost", type=click.FloatRange(0, min_open=True), help="What a missed fraud costs.")
@click.option("--review-cost", type=click.FloatRange(0, min_open=True), help="What a review costs.")
@click.option(
    "--block-precision", type=click.FloatRange(0, 1), default=0.95, show_default=True,
    help="Block where at least this share are frauds.",
)  # fmt: skip
@spec_option
def command(
    bundle: Path,
    features: Path,
    capacity: float | None,
    missed_cost: float | None,
    review_cost: float | None,
    block_precision: float,
    spec_path: Path | None,
) -> None:
    """Propose thresholds for BUNDLE from the labelled rows of FEATURES after its training, for policy.toml.

    From --capacity (default: the policy's daily_review_capacity), or, with --missed-cost and --review-cost,
    where both cost least together. They go to stdout; what they would catch goes to stderr.
    """
    from streamscore.evaluation import proposals, scored  # noqa: PLC0415 - scikit-learn takes seconds
    from streamscore.evaluation.text import caught  # noqa: PLC0415

    if (missed_cost is None) != (review_cost is None):
        raise click.UsageError("--missed-cost and --review-cost go together")
    if missed_cost is not None and capacity is not None:
        raise click.UsageError("give --capacity or the costs, not both")
    capacity = capacity or read_policy(None).daily_review_capacity
    if missed_cost is None and not capacity:
        raise click.UsageError("give --capacity, or --missed-cost and --review-cost")
    spec = read_spec(spec_path)
    with TerminalProgress().step("score"):
        found = scored.score(bundle, features, spec, scored.Asked())
    block = proposals.blocking(found.rows, block_precision)
    if missed_cost is not None and review_cost is not None:
        review = proposals.by_cost(found.rows, block, proposals.Costs(missed_cost, review_cost))
        why = f"least cost at {missed_cost:g} a missed fraud and {review_cost:g} a review"
    else:
        review = proposals.by_capacity(found.rows, block, capacity or 0)
        why = f"{capacity:g} reviews a day"
    limits = Thresholds(review=review, block=block)
    click.echo(caught(found.rows, limits), err=True)
    click.echo(
        proposals.stanza(found.bundle.version, limits, f"{why}; block at a precision of {block_precision:g}")
    )
