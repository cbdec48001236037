"""What is not, after a run under faults, as it is after one without. Pure."""

from collections.abc import Mapping
from typing import Any

from streamscore.chaos.contents import Contents


def differences(expected: Contents, found: Contents, events: int, rubbish: Mapping[bytes, int]) -> list[str]:
    """In words; empty when all is well. `events` were sent, and so often each piece of `rubbish`."""
    lines = []
    for name in ("decisions", "states", "counted"):
        lines += _unlike(name, getattr(expected, name), getattr(found, name))
    lines += _unlike("rows", _firsts(expected), _firsts(found))
    repeated = [key for key, rows in found.rows.items() if len(rows) > 1]
    if repeated:
        lines.append(f"rows: {len(repeated)} events were emitted more than once, {repeated[0]} for one")
    lines += _unlike("quarantine", dict(rubbish), dict(found.quarantined))
    if found.given_up:
        lines.append(f"failed: {found.given_up} records were given up")
    sent, ended = events + sum(rubbish.values()), _ended(found)
    if sent != ended:
        lines.append(f"limbo: {sent} records sent, and {ended} decided, set aside or given up")
    return lines + _untold(found)


def _ended(found: Contents) -> int:
    return len(found.decisions) + sum(found.quarantined.values()) + found.given_up


def _untold(found: Contents) -> list[str]:
    """Each review and block is told to the bus, or waits in its queue; never two different ones of one."""
    actions = {id_: decided[0]["verdict"].decision for id_, decided in found.decisions.items()}
    lines = []
    silent = [id_ for id_, action in actions.items() if action != "approve" and id_ not in found.told]
    if silent:
        lines.append(f"bus: {len(silent)} reviews and blocks were told to nobody, {min(silent)} for one")
    other = [
        id_
        for id_, said in found.told.items()
        if [one["decision"] for one in said] not in _once(actions, id_)
    ]
    if other:
        lines.append(f"bus: of {len(other)} events was told what was not decided, {min(other)} for one")
    return lines


def _once(actions: Mapping[str, str], id_: str) -> list[list[str]]:
    """What may have been told of an event: nothing yet, or what was decided, in one version."""
    return [[], [actions[id_]]] if actions.get(id_, "approve") != "approve" else []


def _firsts(found: Contents) -> dict[str, Any]:
    return {key: rows[0] for key, rows in found.rows.items()}


def _unlike(name: str, expected: dict[Any, Any], found: dict[Any, Any]) -> list[str]:
    missing, more = expected.keys() - found.keys(), found.keys() - expected.keys()
    other = sorted(key for key in expected.keys() & found.keys() if expected[key] != found[key])
    lines = []
    for words, keys in (("missing", missing), ("too many", more), ("different", other)):
        if keys:
            lines.append(f"{name}: {len(keys)} {words}, {min(keys)} for one")
    if other:
        lines.append(f"  expected {expected[other[0]]!r:.600}\n  found    {found[other[0]]!r:.600}")
    return lines
