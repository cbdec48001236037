"""`streamscore decision`: one decision as a person reads it."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from common.errors import InvalidInputError
from scoring.plain import plain
from streamscore.cli._stack import stage_options, target


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@stage_options
def command(id_: str, as_json: bool, stage: str | None, yes: bool) -> None:
    """Show what was decided about the event ID, why, by which model, and what it turned out to be."""
    stack = target(stage, yes)
    table = stack.outputs["DecisionsTableName"]
    item = stack.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": id_}}).get("Item")
    if item is None:
        raise InvalidInputError(f"{stack.name}: there is no decision about {id_!r}")
    shown = {name: plain(value) for name, value in item.items()}
    click.echo(json.dumps(shown, sort_keys=True) if as_json else text(shown))


def text(shown: dict[str, Any]) -> str:
    """The decision in lines: what, when, why.

    >>> print(text({"pk": "e1", "entity": "c1", "event_time": 0, "label": True, "label_time": 86400000}))
    event      e1 of c1 at 1970-01-01 00:00:00.000 UTC
    decision   none yet: its label came first
    label      positive, known 1970-01-02 00:00:00.000 UTC
    """
    lines = [("event", f"{shown['pk']} of {shown.get('entity', '?')} at {_time(shown.get('event_time'))}")]
    lines += _decided(shown) if "scored_at" in shown else [("decision", "none yet: its label came first")]
    if "label" in shown:
        kind = "positive" if shown["label"] else "negative"
        lines.append(("label", f"{kind}, known {_time(shown.get('label_time'))}"))
    return "\n".join(f"{name:<10} {what}" for name, what in lines)


def _decided(shown: dict[str, Any]) -> list[tuple[str, str]]:
    score = "no score" if "score" not in shown else f"score {shown['score']:.6g}"
    lines = [("decision", f"{shown['decision']}, {score}")]
    lines += [("reason", _reason(reason)) for reason in shown.get("reasons", ())]
    lines += [("rule", name) for name in shown.get("rules", ())]
    lines += [(f"{name}"[:10], str(value)) for name, value in shown.get("kept", {}).items()]
    lines.append(
        ("model", f"{shown.get('model', 'none')}, policy {shown['policy']}, spec {shown['spec'][:16]}")
    )
    lines.append(
        (
            "decided",
            f"{_time(shown['scored_at'])}, {shown['latency_ms']} ms after arrival ({shown['source']})",
        )
    )
    if "second_path_score" in shown:
        lines.append(("other path", f"score {shown['second_path_score']:.6g}"))
    return lines


def _reason(reason: str | dict[str, Any]) -> str:
    if isinstance(reason, str):
        return reason
    if "text" in reason:
        return f"{reason['text']} ({reason['contribution']:+.3g} log-odds)"
    value, median = (reason.get(name, "missing") for name in ("value", "median"))
    return f"{reason['feature']} is {value}, usually {median}: {reason['contribution']:+.3g} log-odds"


def _time(epoch_ms: int | None) -> str:
    if epoch_ms is None:
        return "an unknown time"
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"
