"""`streamscore pack`: a model trained elsewhere as a bundle."""

from pathlib import Path

import click

from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec, spec_option
from streamscore.cli.train import share_options, summary


@click.command()
@click.argument("model", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("features", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option(
    "--scores", "column", required=True, metavar="COLUMN",
    help="The column of FEATURES that holds the model's own predictions, P(positive).",
)  # fmt: skip
@click.option(
    "--inputs",
    metavar="NAME,…",
    help="The features it takes, in its order; default: all, in the spec's order.",
)
@click.option("--probability", metavar="NAME", help="Its output that is P(positive), if several could be.")
@click.option("--estimator", metavar="TEXT", help="What it is, for people; default: the file's name.")
@share_options
@click.option("--json", "as_json", is_flag=True, help="Print bundle.json.")
@spec_option
def command(
    model: Path,
    features: Path,
    output: Path,
    column: str,
    inputs: str | None,
    probability: str | None,
    estimator: str | None,
    review_share: float,
    block_share: float,
    as_json: bool,
    spec_path: Path | None,
) -> None:
    """Make a bundle of MODEL, an ONNX file, proven on FEATURES.

    It must give the scores in COLUMN for every labelled row, or nothing is written. Medians, baselines and
    metrics are of those rows: give rows that did not train it.
    """
    from scoring import bundle as bundles  # noqa: PLC0415 - scikit-learn takes seconds; --help need not
    from streamscore.training.pack import Reference, pack  # noqa: PLC0415
    from streamscore.training.thresholds import Alerts  # noqa: PLC0415

    reference = Reference(
        column=column,
        inputs=tuple(name.strip() for name in inputs.split(",")) if inputs else (),
        output=probability,
        alerts=Alerts(review_share, block_share),
        estimator=estimator,
    )
    with TerminalProgress().step("pack") as step:
        made = pack(model, features, read_spec(spec_path), output, reference)
        step.note(f"bundle {made.version} → {output}")
    click.echo(bundles.encode(made).decode() if as_json else summary(made), nl=not as_json)
