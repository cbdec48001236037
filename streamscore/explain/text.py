"""What was found out about an entity, as a person reads it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from streamscore.explain.found import Edge, EventExplained, Explained, FeatureValue, Parts, Value
from streamscore.moments import moment, span

SHOWN = 10  # of the head and of the tiles; --json has all


def entity_lines(found: Explained) -> Iterator[str]:
    """The stored item, then its features as of its newest event."""
    yield f"{found.entity} {found.value}: version {found.version}, {found.bytes:,} bytes"
    if found.items > 1:
        yield f"split      among {found.items} items, here taken together: many shards write it at once"
    yield f"remembers  {found.ids_remembered} event ids, {found.labels_remembered} labels"
    for mark in found.watermarks:
        at = f"{mark.sequence}{f'.{mark.sub_sequence}' if mark.sub_sequence else ''}"
        yield f"watermark  shard {mark.shard} up to {at}, arrived {span(1000 * mark.age_s)} ago"
    if not found.watermarks:
        yield "watermark  none: loaded, or never written by the stream"
    yield from _head(found)
    yield from _tiles(found)
    yield from _positives(found)
    for name, count in found.values_remembered.items():
        yield f"seen       {count} values of {name} before the head"
    if found.newest_ms is not None and found.features:
        yield f"features as of the newest event, {moment(found.newest_ms)}:"
        yield from _features(found.features, _as_of_newest)


def event_lines(found: EventExplained) -> Iterator[str]:
    """One event's vector as served, and what it is made of."""
    yield f"event {found.event} at {moment(found.time_ms)}, spec {found.spec_sha[:16]}"
    yield from (f"  note: {remark}" for remark in found.remarks)
    yield from _features(found.features, _as_served)


def _head(found: Explained) -> Iterator[str]:
    yield f"head       {len(found.head)} events one by one, newest first:"
    for event in found.head[: -SHOWN - 1 : -1]:
        yield f"  {moment(event.time_ms)}  {_pairs(event.values)}".rstrip()
    if len(found.head) > SHOWN:
        yield f"  … {len(found.head) - SHOWN} more, back to {moment(found.head[0].time_ms)}"


def _tiles(found: Explained) -> Iterator[str]:
    if not found.tiles:
        return
    yield f"tiles      {len(found.tiles)}, newest first:"
    for tile in found.tiles[: -SHOWN - 1 : -1]:
        yield f"  {moment(tile.start_ms)} + {span(tile.grain_ms)}  {_pairs(tile.measures)}"
    if len(found.tiles) > SHOWN:
        yield f"  … {len(found.tiles) - SHOWN} more, back to {moment(found.tiles[0].start_ms)}"


def _positives(found: Explained) -> Iterator[str]:
    known = len(found.positives_ms) + sum(found.positive_tiles.values())
    if known:
        yield f"positives  {known} known, the newest of events at:"
        yield from (f"  {moment(at)}" for at in found.positives_ms[: -SHOWN - 1 : -1])


def _features(features: Sequence[FeatureValue], told: Callable[[FeatureValue], str]) -> Iterator[str]:
    width = max(len(one.feature) for one in features)
    for one in features:
        yield f"  {one.feature:<{width}}  {told(one)}"
        if one.parts:
            yield from (f"  {'':<{width}}    {line}" for line in _parts(one.parts))


def _as_of_newest(one: FeatureValue) -> str:
    return f"{_number(one.value)} ({one.note})" if one.note else _number(one.value)


def _as_served(one: FeatureValue) -> str:
    again = "" if one.parts is None or one.value == one.served else f", recomputed now {_as_of_newest(one)}"
    return f"served {_number(one.served)}{again}"


def _parts(parts: Parts) -> Iterator[str]:
    if parts.since and parts.until:
        yield f"from {_edge(parts.since)} until before {_edge(parts.until)}"
        yield f"inside: {parts.in_head} of the head's events, {parts.in_tiles} tiles"
    if parts.numbers:
        yield _pairs(parts.numbers)


def _edge(edge: Edge) -> str:
    rounded = f"rounded down to a tile of {span(edge.rounded_to_ms)}" if edge.rounded_to_ms else "exact"
    return f"{moment(edge.at_ms)} ({rounded})"


def _pairs(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: Value) -> str:
    if value is None:
        return "missing"
    return f"{value:.9g}" if isinstance(value, float) else str(value)
