"""A stored decision as plain data: DynamoDB's numbers lose the zeros at their end."""

import pytest

from streamscore.decided.shown import shown, to_json
from tests import small_model


@pytest.mark.parametrize(
    ("stored", "written"), [("900", "900.00"), ("12.5", "12.50"), ("-0.07", "-0.07"), ("0", "0.00")]
)
def test_a_decimal_is_shown_as_it_was_written(stored: str, written: str) -> None:
    item = {"pk": {"S": "a"}, "kept": {"M": {"amount": {"N": stored}, "shop": {"S": "7"}}}}
    found = shown(item, small_model.spec())
    assert (str(found["kept"]["amount"]), found["kept"]["shop"]) == (written, "7")
    assert f'"amount":{written}' in to_json(found)
