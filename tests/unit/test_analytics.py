"""The Glue table over the exports has a place for everything an item holds, and the view reads only that."""

import re
from typing import Any

import pytest

from scoring.items import Label, label_values, to_item
from streamscore.decided.exports import PREFIX
from tests.unit.test_bus import DECISION
from tests.unit.transformed_template import of_type

KINDS = {"S": "string", "N": "string", "B": "string", "BOOL": "boolean"}


def column(name: str) -> str:
    columns = of_type("AWS::Glue::Table")["DecisionChangesTable"]["TableInput"]["StorageDescriptor"][
        "Columns"
    ]
    return next(str(column["Type"]) for column in columns if column["Name"] == name)


def fields(struct: str) -> dict[str, str]:
    """The fields of `struct<a:x,b:struct<…>>` with their types."""
    found, depth, start = {}, 0, 0
    inner = struct.removeprefix("struct<")[:-1] + ","
    for place, character in enumerate(inner):
        depth += (character == "<") - (character == ">")
        if character == "," and not depth:
            name, _, kind = inner[start:place].partition(":")
            found[name], start = kind, place + 1
    return found


def held(value: dict[str, Any], kind: str) -> bool:
    """Whether a column of that type holds a value as an export writes it."""
    ((name, content),) = value.items()
    there = fields(kind).get(name.lower())
    if there is None:
        return False
    if name == "L":
        return all(held(one, there.removeprefix("array<")[:-1]) for one in content)
    if name == "M" and there.startswith("map<string,"):
        return all(held(one, there.removeprefix("map<string,")[:-1]) for one in content.values())
    if name == "M":
        return all(held(one, fields(there)[field]) for field, one in content.items())
    return there == KINDS[name]


def whole_item() -> dict[str, Any]:
    label = Label("e", "c", 1, True, 2, 3)
    kept = {"amount": {"N": "1"}, "shop": {"S": "x"}, "abroad": {"BOOL": True}}
    more = {"second_path_score": {"N": "1"}, "request": {"B": b"x"}, "cut": {"L": [{"S": "kept"}]}}
    return {**to_item(DECISION._replace(kept=kept)), **label_values(label), **more}


def test_every_value_of_a_decision_has_a_place_in_the_table() -> None:
    places = fields(column("newimage"))
    wrong = [name for name, value in whole_item().items() if not held(value, places.get(name, "struct<>"))]
    assert wrong == []
    unscored = to_item(DECISION._replace(absent="no_model"))["reasons"]
    assert held(unscored, places["reasons"])
    assert places.keys() == whole_item().keys()


@pytest.mark.parametrize("path", ["pk.s", "score.n", "label.bool", "challenger.m.score.n"])
def test_the_view_reads_what_is_there(path: str) -> None:
    query = of_type("AWS::Athena::NamedQuery")["DecisionsViewQuery"]["QueryString"]
    assert path in query
    for found in re.findall(r"\b(keys|newimage|metadata)((?:\.\w+)+)", query):
        kind = column(found[0])
        for step in found[1].strip(".").split("."):
            assert step in fields(kind), found
            kind = fields(kind)[step]


def test_the_table_is_over_the_folder_that_exports_write_and_results_are_encrypted() -> None:
    table = of_type("AWS::Glue::Table")["DecisionChangesTable"]["TableInput"]
    location = table["StorageDescriptor"]["Location"]["Fn::Sub"]
    assert location == f"s3://${{DataBucket}}/{PREFIX}/AWSDynamoDB/data/"
    group = of_type("AWS::Athena::WorkGroup")["AnalyticsWorkGroup"]["WorkGroupConfiguration"]
    assert group["EnforceWorkGroupConfiguration"] is True
    assert group["ResultConfiguration"]["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
