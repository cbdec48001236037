"""`streamscore train`: a model from a FEATURES file, proven and packed as a bundle."""

from pathlib import Path

import click

from scoring.bundle import Bundle
from stream_features.spec import duration_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec


class Duration(click.ParamType[int]):
    """A length of time such as 28d; milliseconds in the program."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds, or a usage error."""
        if isinstance(value, int):
            return value
        try:
            return duration_ms(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("features", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option("--train", "train_ms", type=Duration(), default="28d", show_default=True, help="Train window.")
@click.option(
    "--gap", "gap_ms", type=Duration(), help="Label maturity; default: the spec's label_known_after."
)
@click.option(
    "--test", "test_ms", type=Duration(), default="7d", show_default=True, help="Test window, last."
)
@click.option(
    "--review-share", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="Share of events that can be reviewed; the review threshold is proposed from it.",
)  # fmt: skip
@click.option(
    "--block-share", type=click.FloatRange(0, 1), default=0.002, show_default=True,
    help="Share of events to block; the block threshold is proposed from it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json.")
@click.option(
    "--spec",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The feature spec; by default the project's own.",
)
def command(
    features: Path,
    output: Path,
    train_ms: int,
    gap_ms: int | None,
    test_ms: int,
    review_share: float,
    block_share: float,
    as_json: bool,
    spec_path: Path | None,
) -> None:
    """Train a random forest on FEATURES (made by `backfill`) and write a bundle.

    Rows are split by time: train, then a gap in which labels become known, then test. The converted model
    must score every test row as the trained one does, or nothing is written.
    """
    from scoring import bundle as bundles  # noqa: PLC0415 - scikit-learn takes seconds; --help need not
    from streamscore.training.split import Windows  # noqa: PLC0415
    from streamscore.training.train import Alerts, Recipe, train  # noqa: PLC0415

    spec = read_spec(spec_path)
    gap_ms = Windows.of(spec).gap_ms if gap_ms is None else gap_ms
    recipe = Recipe(Windows(train_ms, gap_ms, test_ms), Alerts(review_share, block_share))
    with TerminalProgress().step("train") as step:
        trained = train(features, spec, output, recipe)
        step.note(f"bundle {trained.bundle.version} → {output}")
    for note in trained.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(bundles.encode(trained.bundle), nl=False)
    else:
        click.echo(summary(trained.bundle))


def summary(bundle: Bundle) -> str:
    """The bundle as a person reads it."""
    share = {name: f"{value:.2%}" for name, value in bundle.metrics.items()}
    proof = bundle.conversion
    lines = [
        f"bundle      {bundle.version}",
        f"estimator   {bundle.estimator}, {len(bundle.features)} features",
        *(
            f"{name:<11} {part.since} to {part.until}: {part.rows:,} rows, {part.positives:,} positive"
            for name, part in (("train", bundle.train), ("test", bundle.test))
        ),
        *(
            f"{name:<11} {bundle.metrics[key]:.4f}"
            for name, key in (("ROC AUC", "roc_auc"), ("AP", "average_precision"), ("Brier", "brier"))
            if key in bundle.metrics
        ),
        *(
            f"{level:<11} at {limit:.6g}: {share[f'{level}_rate']} of events, "
            f"precision {share[f'{level}_precision']}, recall {share[f'{level}_recall']}"
            for level, limit in (("review", bundle.thresholds.review), ("block", bundle.thresholds.block))
        ),
        f"conversion  {proof.rows:,} rows: largest difference {proof.max_difference:.1e}, "
        f"{proof.flips} decided otherwise",
    ]
    return "\n".join(lines)
