"""What `entity` shows: an item taken apart, and each value with what it is made of."""

from typing import Any

import msgspec

from stream_features.sharing import SHARING, Sharing, sub_keys
from stream_features.spec import parse
from streamscore.explain import text
from streamscore.explain.event import NOT_IN_HEAD, SUMMED_UP, Decided, explain_event
from streamscore.explain.stored import explain
from tests.served_in_memory import NOW_MS, Memory

SPEC = parse(
    """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "1h"
exact_events = 4
fields = { amount = "decimal(2)?", kind = "string" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "amount"
op = "value"
of = "amount"
[[feature]]
name = "total"
entity = "card"
op = "sum"
of = "amount"
windows = ["2d"]
[[feature]]
name = "web_mean"
entity = "card"
op = "mean"
of = "amount"
windows = ["3h"]
where = { kind = "web" }
[[feature]]
name = "most"
entity = "card"
op = "max"
of = "amount"
windows = ["2d"]
[[feature]]
name = "gap"
entity = "card"
op = "since_last"
[[feature]]
name = "kinds"
entity = "card"
op = "distinct"
of = "kind"
windows = ["2d"]
[[feature]]
name = "risk"
entity = "shop"
op = "label_rate"
windows = ["2d"]
default = 0.0
"""
)
T0_MS, HOUR_MS = 1_764_000_000_000, 3_600_000


def event(n: int) -> dict[str, Any]:
    """Event n happens in hour n, of n + 0.25, every second one on the web."""
    base = {"id": f"e{n}", "at": T0_MS + n * HOUR_MS, "card": "c", "shop": "s", "fraud": n == 1}
    return base | {"amount": n + 0.25, "kind": "web" if n % 2 else "till"}


def served(count: int, sharing: Sharing = SHARING) -> Memory:
    stack = Memory(SPEC, sharing=sharing)
    stack.deliver([event(n) for n in range(count)], shard=3)
    label = {key: event(1)[key] for key in ("id", "at", "card", "shop", "fraud")}
    stack.deliver([{"type": "label", **label, "label_time": T0_MS + 2 * HOUR_MS}], shard=5)
    return stack


def about(stack: Memory, entity: str, value: str) -> Any:
    return explain(SPEC, entity, value, [stack.table.items[f"{entity}#{value}"]], NOW_MS + 7_000)


def decided(stack: Memory, id_: str) -> Decided:
    one = stack.decided[id_]
    return Decided(id_, one.event_ms, SPEC, one.vector)


def test_an_item_is_shown_with_its_watermarks_head_and_tiles_in_units() -> None:
    found = about(served(7), "card", "c")

    assert [(mark.shard, mark.age_s) for mark in found.watermarks] == [(3, 7), (5, 7)]
    assert (found.ids_remembered, found.labels_remembered) == (7, 1)
    assert [one.time_ms for one in found.head] == [event(n)["at"] for n in (3, 4, 5, 6)]
    assert found.head[0].values["amount"] == 3.25
    assert found.head[0].values["kind is web"] is True
    assert [(tile.start_ms, tile.grain_ms) for tile in found.tiles] == [
        (event(n)["at"], 300_000) for n in (0, 1, 2)
    ]
    assert found.tiles[2].measures["sum of amount"] == 2.25
    assert found.tiles[2].measures["count of events"] == 1


def test_a_split_item_is_shown_with_its_sub_items_as_one() -> None:
    whole = about(served(7), "shop", "s")
    stack = served(7, Sharing(0, 16))
    parts = [stack.table.items[key] for key in ("shop#s", *sub_keys("shop#s")) if key in stack.table.items]
    found = explain(SPEC, "shop", "s", parts, NOW_MS + 7_000)

    assert (whole.items, found.items) == (1, 2)
    assert found.watermarks == whole.watermarks
    assert (found.ids_remembered, found.labels_remembered) == (7, 1)
    assert (found.head, found.tiles, found.features) == (whole.head, whole.tiles, whole.features)
    assert "split      among 2 items, here taken together: many shards write it at once" in list(
        text.entity_lines(found)
    )
    assert not any(line.startswith("split") for line in text.entity_lines(whole))


def test_each_value_is_what_was_served_for_the_newest_event_and_its_parts_add_up() -> None:
    stack = served(4)
    found = {one.feature: one for one in about(stack, "card", "c").features}
    vector = memoryview(stack.decided["e3"].vector).cast("f").tolist()

    values = [found[name].value for name in ("total", "web_mean", "most", "gap", "kinds")]
    assert values == vector[1:6]
    web = found["web_mean"].parts
    assert (web.numbers["events"], web.numbers["counted"], web.numbers["sum"]) == (3, 2, 4.5)
    assert (web.since.at_ms, web.since.rounded_to_ms) == (event(0)["at"] + 1, 0)
    assert (web.until.at_ms, web.in_head, web.in_tiles) == (event(3)["at"] + 1, 3, 0)
    assert found["most"].parts.numbers["max"] == 3.25
    assert found["gap"].parts.numbers["event before, ms ago"] == HOUR_MS


def test_an_edge_among_tiles_is_shown_rounded() -> None:
    found = {one.feature: one for one in about(served(8), "card", "c").features}

    total = found["total"].parts
    assert total.since.rounded_to_ms == HOUR_MS  # two days back an hour is the grain
    assert (total.in_head, total.in_tiles, total.numbers["counted"]) == (4, 4, 8)


def test_positives_and_a_default_are_told() -> None:
    stack = served(3)
    risk = about(stack, "shop", "s").features[0]
    assert (risk.value, risk.parts.numbers["known positives"]) == (0.3333333432674408, 1)
    assert about(stack, "shop", "s").positives_ms == (event(1)["at"],)


def test_an_event_of_the_head_is_shown_as_served_and_recomputed() -> None:
    stack = served(4)

    found = explain_event(SPEC, "card", [stack.table.items["card#c"]], decided(stack, "e2"))

    by_name = {one.feature: one for one in found.features}
    assert found.in_head
    assert [by_name[name].value for name in ("total", "most", "kinds")] == [3.75, 2.25, 2.0]
    assert all(one.value == one.served for one in found.features if one.parts)
    assert (by_name["amount"].served, by_name["amount"].parts) == (2.25, None)
    assert found.remarks == ()


def test_an_event_that_has_left_the_head_keeps_what_was_served_and_says_what_is_gone() -> None:
    stack = served(7)

    gone = explain_event(SPEC, "card", [stack.table.items["card#c"]], decided(stack, "e1"))
    near = explain_event(SPEC, "card", [stack.table.items["card#c"]], decided(stack, "e5"))

    assert (gone.in_head, gone.remarks) == (False, (NOT_IN_HEAD,))
    assert gone.features[1].served == 1.5
    assert SUMMED_UP in near.remarks
    assert explain_event(SPEC, "card", [], decided(stack, "e1")).features[1].served == 1.5


def test_the_text_names_every_feature_and_moment() -> None:
    stack = served(7)
    shown = "\n".join(text.entity_lines(about(stack, "card", "c")))
    assert "watermark  shard 3 up to 7, arrived 7s ago" in shown
    assert "2025-11-24 22:00:00.000  amount 6.25, kind is web False, kind #" in shown
    assert "rounded down to a tile of 1h" in shown
    whole = explain_event(SPEC, "card", [stack.table.items["card#c"]], decided(stack, "e6"))
    assert "served 6.25" in "\n".join(text.event_lines(whole))
    odd = msgspec.structs.replace(whole, features=(msgspec.structs.replace(whole.features[1], served=1.0),))
    assert "served 1, recomputed now 22.75" in "\n".join(text.event_lines(odd))
