"""`streamscore label`: what events turned out to be, put on a stack's stream."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from common.dynamodb import RESERVE_MS, DynamoDB
from common.errors import InvalidInputError
from stream_features.spec_model import Spec
from streamscore.cli._progress import TerminalProgress
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.entity_keys import key_of_stack
from streamscore.parity import served
from streamscore.producer import labels
from streamscore.producer.labels import Item, Labels
from streamscore.producer.stream import Pace, put
from streamscore.room_client import RoomClient

PATIENCE_S = 60  # for the decisions of some lines
SHOWN = 20


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(file: Path, stage: str | None, yes: bool, as_json: bool) -> None:
    """Tell what events turned out to be: put a label record on the stream for each line of FILE.

    FILE (.csv .csv.gz .csv.xz .jsonl .parquet) has the spec's id and label (true or false, 1 or 0), and where
    known label_time; without it a label became known now. The event's time and entities are taken from its
    decision. What is known already is not put again. If any line is refused, nothing is put.
    """
    stack = target(stage, yes)
    spec = served.running_spec(stack)
    with TerminalProgress().step("Read") as step:
        found = _read(stack, spec, file)
        step.note(f"{len(found.records) + found.known + len(found.refusals):,} lines")
    _refuse(file, found)
    if found.records:
        with TerminalProgress().step("Put on the stream", "records") as step:
            put(stack.client("kinesis"), stack.outputs["EventsStreamArn"], found.records, Pace(), step)
    if as_json:
        click.echo(json.dumps({"labels": len(found.records), "known": found.known}))
    else:
        click.echo(f"{len(found.records):,} labels are on the stream; {found.known:,} were known already")


def _read(stack: TargetStack, spec: Spec, file: Path) -> Labels:
    lines = labels.read_lines(file, spec)
    now_ms, key = time.time_ns() // 1_000_000, key_of_stack(stack, spec)
    return labels.labels_of(spec, lines, _decisions(stack), now_ms, key)


def _decisions(stack: TargetStack) -> Callable[[Sequence[str]], dict[str, Item]]:
    db, table = DynamoDB(RoomClient(stack.client("dynamodb"))), stack.outputs["DecisionsTableName"]

    def look(ids: Sequence[str]) -> dict[str, Item]:
        end_s = time.monotonic() + PATIENCE_S + RESERVE_MS / 1000
        items = db.batch_get(table, ids, labels.ATTRIBUTES, lambda: (end_s - time.monotonic()) * 1000)
        return {item["pk"]["S"]: item for item in items}

    return look


def _refuse(file: Path, found: Labels) -> None:
    """InvalidInputError, after the lines that are refused, if there are any."""
    for refusal in found.refusals[:SHOWN]:
        click.echo(f"{file}:{refusal.line}: {refusal.reason}: {refusal.message}", err=True)
    if found.refusals:
        more = len(found.refusals) - SHOWN
        shown = f"the above, and {more:,} more" if more > 0 else "the above"
        raise InvalidInputError(
            f"{file}: nothing is put, since lines are refused: {shown}; mend or remove them. What is known "
            "by then is not put again"
        )
