"""The way from a decision to its item and back loses nothing."""

import base64
from typing import Any

from hypothesis import given

from scoring.items import to_item
from streamscore.decided.stored import Decided, decided_of
from tests.decided import decided


@given(decided())
def test_a_decision_comes_back_from_its_item_as_it_was(one: Decided) -> None:
    assert decided_of(one.item()) == one


@given(decided())
def test_bytes_may_be_base64_text_as_exports_write_them(one: Decided) -> None:
    item: dict[str, Any] = one.item()
    item["features"] = {"B": base64.b64encode(one.decision.features).decode()}
    assert decided_of(item) == one


@given(decided())
def test_an_item_says_what_the_one_that_was_written_says(one: Decided) -> None:
    written, again = to_item(one.decision), one.item()
    assert {name: value for name, value in written.items() if name != "ttl"}.items() <= again.items()
