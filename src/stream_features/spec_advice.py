"""What to say of a key that an op does not take, or lacks."""

from stream_features.ops import OPS
from stream_features.spec_event import Declared
from stream_features.spec_source import nearest

_EXAMPLES = {
    "windows": 'windows = ["1d", "7d"]',
    "hours": "hours = [0, 6]",
    "values": 'values = ["a", "b"], with values that `of` can have',
    "half_life": 'half_life = "7d"',
    "to": "to = the name of another feature",
    "std": 'std = the name of a feature, such as one with op = "std"',
}
_ALL_KEYS = frozenset(key for op in OPS.values() for key in op.keys)


def needed(name: str, key: str, declared: Declared) -> str:
    """Remedy for a missing key."""
    entities, fields = list(declared.entities), list(declared.fields)
    examples = _EXAMPLES | {"entity": f'entity = "{entities[0]}"', "of": _of(name, fields, entities)}
    return f"op {name!r} needs {key!r}: add {examples[key]}"


def _of(name: str, fields: list[str], entities: list[str]) -> str:
    if OPS[name].of == "feature":
        return "of = the name of another feature"
    known = [*fields, *(entities if OPS[name].of == "identity" else [])]
    return f"of = one of {', '.join(known)}" if known else "of = a field declared in [event] fields"


def not_taken(name: str, key: str) -> str:
    """Why `key` has no place beside this op, and what to do."""
    op = OPS[name]
    if key not in _ALL_KEYS:
        return f"unknown key {key!r}{nearest(key, op.keys)}; op {name!r} takes: {', '.join(sorted(op.keys))}"
    return f"op {name!r} takes no {key!r}: {_reason(name, key)}"


def _reason(name: str, key: str) -> str:
    op, history = OPS[name], {"windows", "delay", "where"}
    if op.labels and key == "where":
        return "label records do not carry the event's fields, so labels cannot be told apart; leave it out"
    if op.scope == "history" and key in history:
        return "it looks back on the entity's whole history, 90 days at most; leave it out"
    if key == "delay" and name in {"distinct", "is_new"}:
        return "a value is remembered by when it was last seen, not by all its times; leave it out"
    if op.scope == "event" and key in history | {"entity"}:
        return "it reads the event alone; leave it out"
    if op.scope == "features" and key in history | {"entity"}:
        return "it reads other features, whatever entity and windows they have; leave it out"
    return f"it takes {', '.join(sorted(op.keys))}"
