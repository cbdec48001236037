"""`streamscore entity`: why is this value 7?"""

import time
from typing import Any

import click
import msgspec

from common.errors import InvalidInputError
from stream_features.spec_model import Spec
from stream_features.state import item_key
from streamscore.cli._stack import TargetStack, stage_options, target
from streamscore.decided.stored import decided_of
from streamscore.entity_keys import kept_id
from streamscore.explain import text
from streamscore.explain.event import Decided, explain_event
from streamscore.explain.stored import explain
from streamscore.parity import served


@click.command()
@click.argument("name")
@click.argument("value")
@click.option("--id", "id_only", is_flag=True, help="Print the id it is kept under, for a policy's list.")
@click.option("--event", metavar="ID", help="What was served for this event of it, and why.")
@stage_options
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
def command(
    name: str, value: str, id_only: bool, event: str | None, stage: str | None, yes: bool, as_json: bool
) -> None:
    """Show what the stack keeps of an entity (customer 4711), and what its features are made of.

    Of an entity with `hash = true`, VALUE is what producers send, or the hash. Without --event as of its
    newest event; with it, the vector as it was served, with parts recomputed as long as the event is among
    those the entity keeps one by one.
    """
    stack = target(stage, yes)
    spec = served.running_spec(stack)
    value = kept_id(stack, spec, name, value)
    if id_only:
        click.echo(value)
        return
    key = item_key(name, value)
    stored = served.stored(stack, [key]).get(key, [])
    if event is not None:
        decided = _decided(stack, spec, event, value if name == spec.entities[0].name else None)
        about = explain_event(spec, name, stored, decided)
        _show(about, text.event_lines(about), as_json)
        return
    if not stored:
        raise InvalidInputError(f"{stack.name}: nothing is stored of {name} {value}")
    found = explain(spec, name, value, stored, int(time.time() * 1000))
    _show(found, text.entity_lines(found), as_json)


def _show(found: Any, lines: Any, as_json: bool) -> None:
    click.echo(msgspec.json.encode(found).decode() if as_json else "\n".join(lines))


def _decided(stack: TargetStack, spec: Spec, event: str, primary: str | None) -> Decided:
    table = stack.outputs["DecisionsTableName"]
    item = stack.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": event}}).get("Item")
    if item is None or "scored_at" not in item:
        raise InvalidInputError(f"{stack.name}: there is no decision about {event!r}")
    one = served.served_of(decided_of(item))
    if primary is not None and one.primary != primary:
        raise InvalidInputError(f"event {event!r} is of {spec.entities[0].name} {one.primary}, not {primary}")
    specs = {spec.sha256: spec} | served.specs(stack, {one.spec_sha} - {spec.sha256})
    if one.spec_sha not in specs:
        raise InvalidInputError(f"event {event!r} was decided under a spec that is not published any more")
    return Decided(event, one.event_ms, specs[one.spec_sha], one.vector)
