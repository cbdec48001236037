"""`streamscore decision`: one decision as a person reads it."""

import click

from common.errors import InvalidInputError
from streamscore.cli._stack import stage_options, target
from streamscore.decided.shown import shown, to_json
from streamscore.decided.text import lines
from streamscore.parity import served


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="JSON on standard output.")
@stage_options
def command(id_: str, as_json: bool, stage: str | None, yes: bool) -> None:
    """Show what was decided about the event ID, why, by which model, and what it turned out to be."""
    stack = target(stage, yes)
    table = stack.outputs["DecisionsTableName"]
    item = (
        stack.client("dynamodb")
        .get_item(TableName=table, Key={"pk": {"S": id_}}, ConsistentRead=True)
        .get("Item")
    )
    if item is None:
        raise InvalidInputError(f"{stack.name}: there is no decision about {id_!r}")
    sha = item.get("spec", {}).get("S")
    spec = served.specs(stack, [sha]).get(sha) if sha else None
    found = shown(item, spec)
    click.echo(to_json(found) if as_json else "\n".join(lines(found)))
