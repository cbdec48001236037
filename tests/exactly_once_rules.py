"""What must hold of a world that came to rest, whatever went wrong in it."""

from random import Random
from typing import Any

from stream_features.events import Event, Label
from stream_features.protocol import Read, apply_delivery
from stream_features.sharing import sub_keys
from stream_features.state import (
    CUTOVER_KEY,
    LabelRow,
    Row,
    decode_item,
    decode_out,
    is_split,
    shard_number,
)
from stream_features.store import states_of
from stream_features.verdict import Delivery
from tests.exactly_once import World
from tests.exactly_once_streams import DAY_MS, PARENTS, SPEC, T0_MS, Streams, amount_of, event


def tables(world: World) -> dict[str, tuple[bytes, bytes, bytes]]:
    """What items know, without versions and positions: those depend on how often a write was needed."""
    stored = {pk: stored for pk, stored in world.table.items.items() if pk != CUTOVER_KEY}
    items = {pk: decode_item(item, shard_number("A")) for pk, item in stored.items()}
    return {pk: (item.blob, item.ids, item.labels) for pk, item in items.items()}


def united(world: World) -> dict[str, bytes]:
    """The kernel's state of every shared entity, whatever its items are; they are as `sharing` wants them."""
    items = {pk: stored for pk, stored in world.table.items.items() if pk != CUTOVER_KEY}
    found = {pk: [stored] for pk, stored in items.items() if pk.startswith("terminal#")}
    for pk in found:
        subs = [items[key] for key in sub_keys(pk, world.sharing) if key in items]
        assert is_split(items[pk]) or not subs, f"{pk} has sub-items and is not split"
        found[pk] += subs
    held = [one for one in items if not one.startswith("customer#") and one not in found]
    assert {key.partition("/")[2] for key in held} <= found.keys(), "a sub-item has no main item"
    return states_of(SPEC, found)


def split_of(world: World) -> set[str]:
    return {pk for pk, stored in world.table.items.items() if pk != CUTOVER_KEY and is_split(stored)}


def emitted(world: World) -> list[Row | LabelRow]:
    return sorted(world.table.rows, key=lambda row: (row.id, isinstance(row, LabelRow)))


def assert_same(streams: Streams, chance: Random, faults: int, table: Any = None) -> None:
    """A run with faults (over `table`, in memory unless told) ends as one without."""
    quiet = World(streams, lambda n: 0, parents=PARENTS).run()
    troubled = World(streams, chance.randrange, faults, parents=PARENTS, table=table).run()
    assert emitted(troubled) == emitted(quiet)
    assert tables(troubled) == tables(quiet)


def assert_each_counted_once(world: World, streams: Streams) -> None:
    everything = [r for records in streams.values() for _, inside in records for r in inside]
    for entity, name in enumerate(("customer", "terminal")):
        for value in {r.entities[entity] for r in everything}:
            assert counted(world, name, value) == expected(streams, entity, value), value
    rows = [(row.id, row.label_time_ms if isinstance(row, LabelRow) else 0) for row in world.table.rows]
    assert sorted(rows) == sorted(
        {(r.id, r.label_time_ms if isinstance(r, Label) else 0) for r in everything}
    )


def _told(record: Event | Label | Row | LabelRow) -> tuple[str, int]:
    return record.id, record.label_time_ms if isinstance(record, Label | LabelRow) else 0


def counted(world: World, entity: str, value: str) -> dict[str, int]:
    """How many events and labels an item has counted, and their amounts, by its features (not its ids)."""
    names = [f"{entity}_{name}_90d" for name in ("count", "label_count", "sum")]
    probe = event("probe", DAY_MS // 60_000, *((value, "?") if entity == "customer" else ("?", value)))
    delivery = Delivery(
        9, (1, 0), [probe], [(1, 0)], [(f"customer#{probe.entities[0]}", f"terminal#{probe.entities[1]}")]
    )
    steps = apply_delivery(SPEC, delivery, T0_MS, world.sharing)
    request: Any = next(steps)
    items = {key: stored for key, stored in world.table.items.items() if key != CUTOVER_KEY}
    while isinstance(request, Read):
        request = steps.send({key: items[key] for key in request.keys if key in items})
    row = decode_out(request.writes[0].out).rows[0]
    values = dict(zip(SPEC.feature_names, memoryview(row.vector).cast("f"), strict=True))
    count, labels, total = (int(values[name]) for name in names)
    return {"events": count - 1, "labels": labels, "amounts": total}


def expected(streams: Streams, entity: int, value: str) -> dict[str, int]:
    """What `counted` should say: every event of the streams once, and every label that stands in the end."""
    records = [r for s in streams.values() for _, rs in s for r in rs if r.entities[entity] == value]
    events = {r.id for r in records if isinstance(r, Event)}
    last: dict[str, Label] = {}
    for r in records:
        if isinstance(r, Label) and (r.id not in last or r.label_time_ms > last[r.id].label_time_ms):
            last[r.id] = r
    labels = sum(r.label for r in last.values())
    return {"events": len(events), "labels": labels, "amounts": sum(map(amount_of, events))}


def assert_no_row_saw_an_event_twice(world: World) -> None:
    """Amounts are distinct powers of two: as many events as there are bits in their sum."""
    for row in world.table.rows:
        if isinstance(row, Row):
            values = dict(zip(SPEC.feature_names, memoryview(row.vector).cast("f"), strict=True))
            for entity in ("customer", "terminal"):
                count, total = (int(values[f"{entity}_{name}_90d"]) for name in ("count", "sum"))
                assert count == total.bit_count(), f"{row.id}: {entity} {count} events, amounts {total:b}"
