"""`streamscore evaluate`: how good a bundle is on labelled rows, and how sure that is."""

from pathlib import Path

import click
import msgspec

from streamscore.cli._moment import moment_ms
from streamscore.cli._policy import read_policy
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec, spec_option


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.argument("features", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--since", metavar="TIME", help="First event; default: the start of the bundle's test.")
@click.option("--until", metavar="TIME", help="End, not included; default: the last labelled row.")
@click.option(
    "--capacity", type=click.IntRange(1), metavar="K",
    help="Entities looked at in a day, for card precision; default: the policy's daily_review_capacity, "
    "or 100.",
)  # fmt: skip
@click.option("--amount", metavar="FEATURE", help="The feature that holds amounts, for the amount caught.")
@click.option(
    "--protocol", type=click.Choice(["handbook"]),
    help="The Fraud Detection Handbook's: train a week, wait a week, test a week. If BUNDLE is not there, "
    "the default forest is trained into it.",
)  # fmt: skip
@click.option("--start", metavar="DATE", help="First day of the protocol's training week.")
@click.option(
    "--policy", "policy_path", type=click.Path(path_type=Path, dir_okay=False),
    help="Whose thresholds and capacity; by default the project's own.",
)  # fmt: skip
@spec_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, curves included.")
def command(
    bundle: Path,
    features: Path,
    since: str | None,
    until: str | None,
    capacity: int | None,
    amount: str | None,
    protocol: str | None,
    start: str | None,
    policy_path: Path | None,
    spec_path: Path | None,
    as_json: bool,
) -> None:
    """Measure BUNDLE on the labelled rows of FEATURES after its training.

    ROC AUC, average precision, card precision, calibration, and what each threshold catches, each with the
    95 % interval that drawing whole days again gives.
    """
    from streamscore.evaluation import scored  # noqa: PLC0415 - scikit-learn takes seconds; --help need not
    from streamscore.evaluation.text import text  # noqa: PLC0415

    _refuse_contradictions(protocol, start, since or until)
    spec, policy = read_spec(spec_path), read_policy(policy_path)
    asked = scored.Asked(
        since_ms=moment_ms(since, "--since"),
        until_ms=moment_ms(until, "--until"),
        handbook_start_ms=moment_ms(start, "--start"),
        capacity=capacity,
        amount=amount,
    )
    with TerminalProgress().step("evaluate") as step:
        found = scored.evaluate(bundle, features, spec, policy, asked)
        step.note(f"{found.rows:,} rows")
    click.echo(msgspec.json.format(msgspec.json.encode(found)).decode() if as_json else text(found))


def _refuse_contradictions(protocol: str | None, start: str | None, span: str | None) -> None:
    if (protocol is None) != (start is None):
        raise click.UsageError("--protocol handbook and --start DATE go together")
    if protocol and span:
        raise click.UsageError("the protocol says which rows: leave out --since and --until")
