"""Decisions as items: every value is one that the table takes."""

from decimal import Decimal

import pytest

from common.pricing import item_bytes
from scoring.items import ALWAYS_FIT, kept_values, to_item
from scoring.policy import Verdict
from stream_features import spec as specs
from tests.unit.test_bus import DECISION

SPEC = specs.parse("""
[event]
id = "id"
time = "at"
keep = ["cents", "rate", "n", "on", "kind"]
fields = { cents = "decimal(2)?", rate = "float?", n = "int?", on = "bool?", kind = "string?" }
[entities]
card = "card"
[[feature]]
name = "hour"
op = "hour"
""")


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("cents", 31050, {"N": "310.50"}),
        ("cents", -5, {"N": "-0.05"}),
        ("cents", 0, {"N": "0.00"}),
        ("cents", -(2**53), {"N": "-90071992547409.92"}),
        ("rate", 0.1, {"N": "0.1"}),
        ("rate", 0.0, {"N": "0.0"}),
        ("rate", 1e300, {"S": "1e+300"}),
        ("rate", -1e-200, {"S": "-1e-200"}),
        ("n", -3, {"N": "-3"}),
        ("on", True, {"BOOL": True}),
        ("kind", "", {"S": ""}),
    ],
)
def test_a_kept_field_is_a_value_that_the_table_takes(field, value, stored):
    kept = [value if name == field else None for name in SPEC.event.keep]
    assert kept_values(SPEC, kept) == {field: stored}
    if "N" in stored:
        assert Decimal(stored["N"]) == Decimal(value).scaleb(-2) if field == "cents" else True


def test_an_item_is_cut_to_what_the_table_takes_and_says_so():
    kept = {f"f{n:03}": {"S": "x" * 1024} for n in range(400)}
    rules = tuple(f"{n:064}" for n in range(5000))
    item = to_item(DECISION._replace(kept=kept, verdict=Verdict("block", rules)))
    assert item_bytes(item) < 400 * 1024
    assert item["cut"] == {"L": [{"S": "kept"}, {"S": "rules"}]}
    assert list(item["kept"]["M"]) == list(kept)[: len(item["kept"]["M"])]
    assert item["rules"]["L"][0] == {"S": rules[0]}


def test_what_fits_is_whole_however_much_it_is():
    kept = {f"f{n:03}": {"N": "1"} for n in range(ALWAYS_FIT + 50)}
    item = to_item(DECISION._replace(kept=kept))
    assert (item["kept"]["M"], "cut" in item) == (kept, False)


def test_what_is_not_known_has_no_attribute():
    bare = DECISION._replace(
        score=None, verdict=Verdict("approve", ()), absent="no_model", model=None, kept={}, trace=None,
        entities={}, challenger=None,
    )  # fmt: skip
    item = to_item(bare)
    assert item["reasons"] == {"L": [{"S": "no_model"}]}
    unknown = {"score", "model", "kept", "trace", "entities", "challenger", "propensity", "rules", "cut"}
    assert not unknown & item.keys()
