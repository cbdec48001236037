"""`streamscore train`: a model from a FEATURES file, proven and packed as a bundle."""

import math
from collections.abc import Callable
from pathlib import Path

import click

from scoring.bundle import Bundle
from stream_features.spec import duration_ms
from streamscore.cli._moment import moment_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec, spec_option


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


class Weight(click.ParamType[float | None]):
    """A number above 0, or `balanced` (None in the program)."""

    name = "weight"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        """A number, or a usage error."""
        if value == "balanced":
            return None
        try:
            weight = float(str(value))
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf:
            self.fail(f"{value!r} is neither a number above 0 nor `balanced`", param, ctx)
        return weight


def share_options(command: Callable[..., None]) -> Callable[..., None]:
    """--review-share and --block-share."""
    review = click.option(
        "--review-share", type=click.FloatRange(0, 1), default=0.01, show_default=True,
        help="Share of events that can be reviewed; the review threshold is proposed from it.",
    )  # fmt: skip
    block = click.option(
        "--block-share", type=click.FloatRange(0, 1), default=0.002, show_default=True,
        help="Share of events to block; the block threshold is proposed from it.",
    )  # fmt: skip
    return review(block(command))


@click.command()
@click.argument("features", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option("--train", "train_ms", type=Duration(), default="7d", show_default=True, help="Train window.")
@click.option(
    "--gap", "gap_ms", type=Duration(), help="Label maturity; default: the spec's label_known_after."
)
@click.option(
    "--test", "test_ms", type=Duration(), default="7d", show_default=True, help="Test window, last."
)
@click.option(
    "--until", metavar="TIME", help="End of the test window, not included; default: the last labelled row."
)
@click.option(
    "--estimator", help="Import path of a scikit-learn classifier; default: a random forest of 100 trees."
)
@click.option("--params", help="Its parameters as JSON, such as '{\"max_depth\": 8}'.")
@click.option(
    "--positive-weight",
    type=Weight(),
    default="1",
    show_default=True,
    help="So many times a negative a positive weighs in training; `balanced`: both classes weigh the same.",
)
@click.option(
    "--calibrate",
    "calibration",
    type=click.Choice(["isotonic", "sigmoid"]),
    help="Make scores probabilities again, learned from unseen rows of the train window.",
)
@share_options
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json.")
@spec_option
def command(
    features: Path,
    output: Path,
    train_ms: int,
    gap_ms: int | None,
    test_ms: int,
    until: str | None,
    estimator: str | None,
    params: str | None,
    positive_weight: float | None,
    calibration: str | None,
    review_share: float,
    block_share: float,
    as_json: bool,
    spec_path: Path | None,
) -> None:
    """Train a classifier on FEATURES (made by `backfill`) and write a bundle.

    Rows are split by time: train, then a gap in which labels become known, then test. The converted model
    must score every test row as the trained one does, or nothing is written.
    """
    from scoring import bundle as bundles  # noqa: PLC0415 - scikit-learn takes seconds; --help need not
    from streamscore.training import estimators  # noqa: PLC0415
    from streamscore.training.split import Windows  # noqa: PLC0415
    from streamscore.training.thresholds import Alerts  # noqa: PLC0415
    from streamscore.training.train import Recipe, train  # noqa: PLC0415

    if params is not None and estimator is None:
        raise click.UsageError("--params are those of an --estimator; give both")

    spec = read_spec(spec_path)
    gap_ms = Windows.of(spec).gap_ms if gap_ms is None else gap_ms
    recipe = Recipe(
        windows=Windows(train_ms, gap_ms, test_ms),
        alerts=Alerts(review_share, block_share),
        estimator=estimators.estimator(estimator, params or "{}") if estimator else None,
        positive_weight=positive_weight,
        calibration=calibration,
        until_ms=moment_ms(until, "--until"),
    )
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
            if part is not None
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
