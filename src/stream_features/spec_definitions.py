"""What features read of each other, and the hash that names each one's definition."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NoReturn

import msgspec

from stream_features.ops import OPS
from stream_features.spec_event import Declared
from stream_features.spec_model import DEFAULT_EXACT_EVENTS, Feature, Field
from stream_features.spec_source import nearest

Refuse = Callable[[str, str, str], NoReturn]  # feature's name, message, key


def defined(features: Sequence[Feature], declared: Declared, refuse: Refuse) -> tuple[Feature, ...]:
    """The features with their hashes; a name that is no feature's, and a cycle, are refused."""
    by_name = {feature.name: feature for feature in features}
    for feature in features:
        _known_inputs(feature, by_name, refuse)
    hashes: dict[str, str] = {}
    for name in _order(by_name, refuse):
        hashes[name] = _hash(by_name[name], declared, hashes)
    return tuple(msgspec.structs.replace(feature, hash=hashes[feature.name]) for feature in features)


def inputs(feature: Feature) -> dict[str, str]:
    """The features that a derived one reads, by key; none for any other."""
    if OPS[feature.op].scope != "features":
        return {}
    keys = {"of": feature.of, "to": feature.to, "std": feature.std}
    return {key: name for key, name in keys.items() if name is not None}


def _known_inputs(feature: Feature, by_name: Mapping[str, Feature], refuse: Refuse) -> None:
    for key, name in inputs(feature).items():
        if name not in by_name:
            hint = nearest(name, by_name)
            refuse(
                feature.name, f"{key}: no feature {name!r}{hint}; it must be the name of a [[feature]]", key
            )
    if inputs(feature) and feature.of == feature.to:
        refuse(feature.name, f"of and to are both {feature.of!r}, so it says nothing; name another", "to")


def _order(by_name: Mapping[str, Feature], refuse: Refuse) -> Sequence[str]:
    graph = {name: tuple(inputs(feature).values()) for name, feature in by_name.items()}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle: list[str] = error.args[1]
        refuse(cycle[-1], f"reads itself: {' → '.join(reversed(cycle))}; break the circle", "of")


def _hash(feature: Feature, declared: Declared, hashes: Mapping[str, str]) -> str:
    """Of all that decides the numbers, and not of names and words: 16 hex digits."""
    entity = declared.entities[feature.entity].field if feature.entity else None
    anonymous = msgspec.structs.replace(feature, name="", reason="", entity=entity)
    of = declared.fields.get(feature.of or "")
    read = inputs(feature)
    if read:
        anonymous, of = msgspec.structs.replace(anonymous, of=None, to=None, std=None), None
    elif feature.of and of is None:
        of = _id_field(declared.entities[feature.of].field)
        anonymous = msgspec.structs.replace(anonymous, of=of.name)
    definition: list[Any] = [anonymous, of]
    beside = _beside(feature, declared) | (
        {"features": [hashes[name] for name in read.values()]} if read else {}
    )
    encoded = msgspec.json.encode(definition + ([beside] if beside else []), order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:16]


def _beside(feature: Feature, declared: Declared) -> dict[str, Any]:
    """What else decides the numbers; nothing for what could be written before there was any of it."""
    found: dict[str, Any] = {}
    if hashed := _hashed(feature, declared):
        found["hashed"] = hashed
    if feature.where:
        found["where"] = [declared.fields[name] for name, _ in feature.where]
    if OPS[feature.op].scope == "window" and declared.event.exact_events != DEFAULT_EXACT_EVENTS:
        found["exact_events"] = declared.event.exact_events
    return found


def _hashed(feature: Feature, declared: Declared) -> list[str]:
    """Which of the entities that it reads are known by their hashes: other ids are other histories."""
    read = {"entity": feature.entity} | ({} if inputs(feature) else {"of": feature.of})
    return [key for key, name in read.items() if name in declared.entities and declared.entities[name].hash]


def _id_field(name: str) -> Field:
    return Field(name, "string", path=(name,))
