"""Each reason why a value can differ is produced for real, by the protocol and the kernel."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from stream_features.spec import Spec, parse
from stream_features.state import decode_item, encode_item
from streamscore.parity import text
from streamscore.parity.report import FeatureParity, Report
from tests.served_in_memory import Memory

TEXT = """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "1h"
fields = {{ amount = "int" }}
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "amount"
op = "value"
of = "amount"
[[feature]]
name = "card_sum"
entity = "card"
op = "sum"
of = "amount"
windows = ["{window}"]
[[feature]]
name = "shop_count"
entity = "shop"
op = "count"
windows = ["7d"]
[[feature]]
name = "shop_risk"
entity = "shop"
op = "label_rate"
windows = ["7d"]
[[feature]]
name = "card_share"
op = "ratio"
of = "card_sum"
to = "shop_count"
"""
SPEC = parse(TEXT.format(window="7d"))
AMOUNT = '[[feature]]\nname = "amount"\nop = "value"\nof = "amount"\n'
OTHER_SPEC = parse(TEXT.format(window="2d").replace(AMOUNT, ""))
T0_MS, HOUR_MS = 1_764_000_000_000, 3_600_000


def event(n: int, card: str = "c", shop: str = "s", *, fraud: bool = False) -> dict[str, Any]:
    """Event n happens in hour n; amounts are powers of two."""
    return {
        "id": f"e{n}",
        "at": T0_MS + n * HOUR_MS,
        "card": card,
        "shop": shop,
        "amount": 1 << n,
        "fraud": fraud,
    }


def label(of: dict[str, Any]) -> dict[str, Any]:
    told = {name: of[name] for name in ("id", "at", "card", "shop", "fraud")}
    return {"type": "label", **told, "label_time": of["at"] + HOUR_MS}


def served(spec: Spec, datas: Sequence[dict[str, Any]]) -> Memory:
    stack = Memory(spec)
    stack.deliver(datas)
    return stack


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(events: Sequence[dict[str, Any]]) -> Path:
        path = tmp_path / "events.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in events))
        return path

    return write


def feature(report: Report, name: str) -> FeatureParity:
    return next(one for one in report.features if one.feature == name)


def test_in_the_order_of_time_everything_is_equal_and_holds(file: Any) -> None:
    events = [event(n, fraud=n == 1) for n in range(5)]
    in_order = [events[0], label(events[0]), events[1], label(events[1]), *events[2:]]

    report = served(SPEC, in_order).compared_with(file(events))

    assert (report.held, report.compared, report.equal) == (True, 5, 5)
    assert [one.different for one in report.features] == [0] * 5
    assert text.lines(report)[-1] == "held: 5 events × 5 features, bit for bit"


def test_an_event_that_came_late_makes_the_newer_one_differ(file: Any) -> None:
    events = [event(0), event(1), event(2), event(3)]

    report = served(SPEC, [events[0], events[2], events[1], events[3]]).compared_with(file(events))

    found = feature(report, "card_sum")
    assert (found.different, found.failed, found.reasons) == (1, 1, {"late": 1})
    assert found.first is not None
    assert (found.first.event, found.first.served, found.first.backfilled) == ("e2", 5.0, 7.0)
    assert (found.first.entity, found.first.value, found.first.shards) == ("card", "c", 1)
    assert found.largest_difference == 2.0
    assert not report.held
    assert "late: an event arrived after a newer one of its entity" in "\n".join(text.lines(report))


def test_an_entity_that_crossed_shards_is_reported_and_does_not_fail(file: Any) -> None:
    mine, others = [event(n, "a") for n in (0, 2, 4)], [event(n, "b") for n in (1, 3, 5)]
    stack = Memory(SPEC)
    stack.deliver(others, shard=1)
    stack.deliver(mine, shard=0)

    report = stack.compared_with(file([*mine, *others]))

    found = feature(report, "shop_count")
    assert found.different == 3
    assert (found.failed, found.reasons) == (0, {"cross_shard": 3})
    assert found.first is not None
    assert found.first.shards == 2
    assert feature(report, "card_sum").different == 0
    assert feature(report, "card_share").failed == 0
    assert [(one.entity, one.equal) for one in report.entities] == [("card", 6), ("shop", 3)]
    assert report.held
    assert "6 values of entities that crossed shards differ" in text.verdict(report)


def test_a_late_event_of_one_partition_key_is_late_whatever_shards_its_shop_crossed(file: Any) -> None:
    mine, others = [event(n, "a") for n in (0, 1, 2)], [event(3, "b")]
    stack = Memory(SPEC)
    stack.deliver([mine[0], mine[2], mine[1]], shard=0)
    stack.deliver(others, shard=1)

    found = feature(stack.compared_with(file([*mine, *others])), "shop_count")

    assert found.reasons == {"late": 1}


def test_a_primary_entity_fails_even_if_its_shard_was_split(file: Any) -> None:
    events = [event(n) for n in range(3)]
    stack = Memory(SPEC)
    stack.deliver([events[0]], shard=0)
    stack.deliver([events[2], events[1]], shard=1)

    report = stack.compared_with(file(events))

    assert feature(report, "card_sum").failed == 1
    assert feature(report, "shop_count").failed == 0
    assert not report.held


def test_history_that_was_not_loaded_is_told_with_both_sides_bounds(file: Any) -> None:
    events = [event(n) for n in range(6)]

    report = served(SPEC, events[3:]).compared_with(file(events))

    found = feature(report, "card_sum")
    assert (report.not_decided, found.reasons) == (3, {"state_not_loaded": 3})
    assert found.first is not None and found.first.file is not None and found.first.stack is not None
    assert (found.first.file.first_ms, found.first.file.last_ms) == (events[0]["at"], events[5]["at"])
    assert (found.first.stack.first_ms, found.first.stack.last_ms) == (events[3]["at"], events[5]["at"])


def test_an_event_the_file_lacks_is_told(file: Any) -> None:
    events = [event(n) for n in range(4)]

    report = served(SPEC, events).compared_with(file([events[0], *events[2:]]))

    assert feature(report, "card_sum").reasons == {"not_in_file": 2}


def test_labels_that_were_not_put_are_told(file: Any) -> None:
    events = [event(n, fraud=n == 0) for n in range(4)]

    report = served(SPEC, events).compared_with(file(events))

    assert feature(report, "shop_risk").reasons == {"label": 3}
    assert feature(report, "shop_count").different == 0


def test_a_decision_under_another_spec_is_matched_by_name(file: Any) -> None:
    events = [event(n) for n in (0, 60, 61)]
    for one in events:
        one["amount"] = 1
    stack = served(OTHER_SPEC, events)
    stack.spec = SPEC

    report = stack.compared_with(file(events), {OTHER_SPEC.sha256: OTHER_SPEC})

    assert feature(report, "card_sum").reasons == {"spec": 2}
    assert feature(report, "shop_count").different == 0
    assert (feature(report, "amount").compared, feature(report, "shop_count").compared) == (0, 3)
    unknown = stack.compared_with(file(events))
    assert (unknown.compared, unknown.unreadable) == (0, 3)


def test_a_state_that_was_tampered_with_has_no_reason_and_fails(file: Any) -> None:
    events = [event(n, card) for n in range(6) for card in ("c",)]
    stack = served(SPEC, events[:3])
    item = decode_item(stack.table.items["card#c"], 0)
    item.blob = served(SPEC, [event(n) | {"amount": 0} for n in range(3)]).known_blob("card#c")
    w, s = encode_item(item, 0, 0)
    stack.table.items["card#c"] = stack.table.items["card#c"]._replace(w=w, s=s)
    stack.deliver(events[3:])

    report = stack.compared_with(file(events))

    assert feature(report, "card_sum").reasons == {"unexplained": 3}
    assert not report.held
    assert text.verdict(report).startswith("FAILED: ")


def test_a_decision_made_over_http_is_counted_and_not_compared(file: Any) -> None:
    events = [event(n) for n in range(3)]
    stack = served(SPEC, events)
    stack.decided["e1"] = stack.decided["e1"]._replace(on_stream=False, vector=b"")

    report = stack.compared_with(file(events))

    assert (report.by_api, report.compared, report.held) == (1, 2, True)
