"""`streamscore parity`: were the served vectors what a backfill computes?"""

import sys
from pathlib import Path

import click
import msgspec

from common.errors import InvalidInputError
from stream_features.spec import Spec
from streamscore.cli._moment import moment_ms
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._spec import read_spec
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.entity_keys import key_of_stack
from streamscore.parity import served, text
from streamscore.parity.aligned import align
from streamscore.parity.compare import compare
from streamscore.parity.replay import Replayed, decided_of, replay
from streamscore.parity.report import Report
from streamscore.producer.records import Selection, records
from streamscore.training.backfill import Backfilled, backfill
from streamscore.training.tables import read_events


@click.command()
@click.argument("events", type=click.Path(path_type=Path))
@click.option(
    "--replay", "replays", is_flag=True, help="First put EVENTS on the stream, as fast as it decides."
)
@click.option("--since", metavar="TIME", help="With --replay: put only records after then.")
@click.option("--spec", "spec_path", type=click.Path(path_type=Path), help="Instead of the stack's own spec.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(
    events: Path,
    replays: bool,
    since: str | None,
    spec_path: Path | None,
    stage: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Compare every decision's features with the backfill of EVENTS, bit for bit, and say why they differ.

    EVENTS must hold the history of the events decided, not only those. With --replay its events and labels
    are put on the stream in the order of time first, no faster than they are decided. Exits 1 if a value
    differs whose entity came through one shard, or if a replayed event was not decided.
    """
    if since is not None and not replays:
        raise InvalidInputError("--since chooses what --replay puts; add --replay")
    since_ms = moment_ms(since, "--since")
    stack = target(stage, yes)
    spec = read_spec(spec_path) if spec_path else served.running_spec(stack)
    with TerminalProgress().step("Backfill", "events") as step:
        whole = backfill(spec, events, key=key_of_stack(stack, spec))
        step.advance(len(whole.ids))
    replayed = _replay(stack, whole, events, since_ms) if replays else Replayed()
    report = _compare(stack, spec, whole, events)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo("\n".join(text.lines(report)))
    if replayed.never_decided:
        click.echo(f"{len(replayed.never_decided):,} replayed events were not decided", err=True)
    if replayed.never_decided or not report.held:
        sys.exit(1)


def _replay(stack: TargetStack, whole: Backfilled, events: Path, since_ms: int | None) -> Replayed:
    if whole.spec.event.max_age_ms is not None:
        raise InvalidInputError("the spec's max_age would refuse events of the past; try it without max_age")
    fresh = whole.ids if since_ms is None else whole.ids.filter(whole.time_ms > since_ms)
    ids = fresh.to_list()
    done = decided_of(stack)(ids)
    if done:
        raise InvalidInputError(
            f"{len(done):,} of these events are decided already, and would count twice; compare them without "
            "--replay, or replay onto a fresh stack"
        )
    with TerminalProgress().step("Replay", "events") as step:
        step.expect(len(ids))
        some = records(whole.spec, read_events(events, whole.spec), Selection(since_ms=since_ms))
        return replay(stack, whole.spec, some, step)


def _compare(stack: TargetStack, spec: Spec, whole: Backfilled, events: Path) -> Report:
    with TerminalProgress().step("Read decisions", "decisions") as step:
        decided = served.decisions(stack)
        step.advance(len(decided))
    with TerminalProgress().step("Compare", "events") as step:
        others = {one.spec_sha for one in decided.values()} - {spec.sha256}
        aligned = align(whole, decided, served.specs(stack, others))
        if not len(aligned.rows):
            raise InvalidInputError(f"{events}: the stack has decided none of these events")
        step.advance(len(aligned.rows))
        return compare(whole, decided, aligned, lambda keys: served.known(stack, spec, keys))
