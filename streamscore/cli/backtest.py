"""`streamscore backtest`: what another model or policy would have decided."""

from pathlib import Path

import click
import msgspec

from common.errors import InvalidInputError
from scoring import rules
from scoring.model import Model
from scoring.policy import Policy
from stream_features.spec_model import Spec
from streamscore.backtest.backtest import backtest
from streamscore.backtest.result import Result
from streamscore.backtest.stack import known_of
from streamscore.backtest.text import markdown
from streamscore.cli._moment import moment_or_ago_ms
from streamscore.cli._policy import read_policy
from streamscore.cli._progress import TerminalProgress, told
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.decided.decisions_log import decisions_log
from streamscore.parity import served
from streamscore.training import bundles


@click.command()
@click.option("--challenger", metavar="BUNDLE", help="A folder, or the version of a registered bundle.")
@click.option("--policy", "policy_path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--since", metavar="TIME", help="Decided since then: a time, or how long ago (7d).")
@click.option("--until", metavar="TIME", help="Decided before then.")
@click.option("--amount", metavar="FIELD", help="A kept field to add up; by default the first decimal.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output instead of Markdown.")
def command(
    challenger: str | None,
    policy_path: Path | None,
    since: str | None,
    until: str | None,
    amount: str | None,
    stage: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Decide recorded decisions again with another bundle, another policy, or both; nothing live is touched.

    What is not given stays as it was for each decision: a policy alone is tried on the scores that there
    were. Tells flips, alerts a day, amounts moved, reasons, matured labels, and what could not be tried.
    """
    if challenger is None and policy_path is None:
        raise InvalidInputError("nothing to try: give --challenger BUNDLE, --policy FILE, or both")
    since_ms, until_ms = moment_or_ago_ms(since, "--since"), moment_or_ago_ms(until, "--until")
    stack = target(stage, yes)
    known, spec = known_of(stack), served.running_spec(stack)
    model = None if challenger is None else _model(stack, challenger)
    policy = None if policy_path is None else _policy(policy_path, spec)
    field = _amount(amount, spec)
    with TerminalProgress().step("Decide again", "decisions") as step:
        result = backtest(decisions_log(stack, since_ms, until_ms, told), known, model, policy, field)
        step.advance(result.coverage.read)
    _refuse_empty(stack, result, bounded=(since_ms, until_ms) != (None, None))
    click.echo(msgspec.json.encode(result).decode() if as_json else "\n".join(markdown(result)))


def _model(stack: TargetStack, bundle: str) -> Model:
    if Path(bundle).is_dir():
        bundle_json, onnx, _ = bundles.read(Path(bundle))
        return Model.load(bundle_json, onnx)
    model = known_of(stack).model(bundle)
    if model is None:
        raise InvalidInputError(
            f"--challenger {bundle}: neither a folder here nor a version registered in {stack.name}"
        )
    return model


def _policy(path: Path, spec: Spec) -> Policy:
    policy = read_policy(path)
    rules.check(policy, spec)
    return policy


def _amount(name: str | None, spec: Spec) -> str | None:
    """The field asked for, if it is a number that is kept; else the first decimal that is."""
    numbers = [kept for kept in spec.event.keep if spec.fields[kept].kind in {"decimal", "int", "float"}]
    if name is None:
        return next((kept for kept in numbers if spec.fields[kept].kind == "decimal"), None)
    if name not in numbers:
        kept = ", ".join(numbers) or "none"
        raise InvalidInputError(f"--amount {name}: is no number that the spec keeps; those are: {kept}")
    return name


def _refuse_empty(stack: TargetStack, result: Result, bounded: bool) -> None:
    coverage = result.coverage
    if not coverage.read:
        raise InvalidInputError(f"{stack.name}: no decision was made{' in that time' if bounded else ' yet'}")
    if not coverage.decided:
        why = "; ".join(f"{count:,}: {why}" for why, count in coverage.left_out.items())
        raise InvalidInputError(f"none of {coverage.read:,} decisions can be made again: {why}")
