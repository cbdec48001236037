"""Filter patterns on records as functions would get them."""

import base64
import json
from typing import Any

import pytest

from common.errors import InvalidInputError
from streamscore.local.filters import compile_filters

ROW = {
    "eventName": "MODIFY",
    "dynamodb": {"NewImage": {"pk": {"S": "customer#1"}, "out": {"B": "AA=="}, "n": {"N": "5"}}},
}


def kinesis(data: bytes) -> dict[str, Any]:
    return {
        "kinesis": {"data": base64.b64encode(data).decode(), "partitionKey": "k"},
        "eventName": "aws:kinesis:record",
    }


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ({"eventName": ["INSERT", "MODIFY"]}, True),
        ({"eventName": ["REMOVE"]}, False),
        ({"dynamodb": {"NewImage": {"out": {"B": [{"exists": True}]}}}}, True),
        ({"dynamodb": {"NewImage": {"out": {"B": [{"exists": False}]}}}}, False),
        ({"dynamodb": {"NewImage": {"other": {"B": [{"exists": True}]}}}}, False),
        ({"dynamodb": {"NewImage": {"other": {"B": [{"exists": False}]}}}}, True),
        ({"dynamodb": {"OldImage": {"pk": {"S": [{"exists": True}]}}}}, False),
        ({"dynamodb": {"NewImage": {"out": [{"exists": True}]}}}, False),  # exists is for leaves
        ({"dynamodb": {"NewImage": {"pk": {"S": [{"prefix": "customer#"}]}}}}, True),
        ({"dynamodb": {"NewImage": {"pk": {"S": [{"suffix": "#2"}]}}}}, False),
        ({"eventName": [{"anything-but": ["REMOVE"]}]}, True),
        ({"eventName": ["MODIFY"], "dynamodb": {"Keys": {"pk": {"S": ["x"]}}}}, False),
        ({"eventName": [{"anything-but": "MODIFY"}]}, False),
        ({"eventName": [{"equals-ignore-case": "modify"}]}, True),
        (
            {"$or": [{"eventName": ["REMOVE"]}, {"dynamodb": {"NewImage": {"pk": {"S": ["customer#1"]}}}}]},
            True,
        ),
        ({"$or": [{"eventName": ["REMOVE"]}, {"eventName": ["INSERT"]}]}, False),
        ({"dynamodb": {"NewImage": {"n": {"N": [{"numeric": ["=", 5]}]}}}}, False),  # its numbers are strings
        ({"dynamodb": {"NewImage": {"n": {"N": ["5"]}}}}, True),
    ],
)
def test_a_pattern_on_a_table_row(pattern: dict[str, Any], matches: bool) -> None:
    test = compile_filters([json.dumps(pattern)])
    assert test is not None
    assert test(ROW) is matches


@pytest.mark.parametrize(
    ("leaf", "value", "matches"),
    [
        (300, 300, True),
        (300, 300.0, False),
        (None, None, True),
        ("", "", True),
        (True, 1, False),
        ({"numeric": [">", 0, "<=", 5]}, 5, True),
        ({"numeric": [">", 0, "<=", 5]}, 0, False),
        ({"numeric": [">", 0]}, "1", False),
        ({"numeric": [">", 0]}, True, False),
        ("b", ["a", "b"], True),
        ("c", ["a", "b"], False),
        ({"anything-but": ["a", 1]}, "b", True),
        ({"anything-but": ["a", 1]}, 1, False),
        ({"prefix": "a"}, 1, False),
    ],
)
def test_a_leaf_of_a_kinesis_pattern(leaf: Any, value: Any, matches: bool) -> None:
    test = compile_filters([json.dumps({"data": {"x": [leaf]}})])
    assert test is not None
    assert test(kinesis(json.dumps({"x": value}).encode())) is matches


def test_any_pattern_of_several_is_enough_and_none_at_all_lets_everything_pass() -> None:
    test = compile_filters(['{"eventName":["REMOVE"]}', '{"eventName":["MODIFY"]}'])
    assert test is not None and test(ROW)
    assert compile_filters([]) is None


def test_kinesis_data_is_decoded_and_what_is_not_json_matches_nothing() -> None:
    test = compile_filters(['{"data":{"kind":["label"],"n":[1]}}'])
    assert test is not None
    assert test(kinesis(b'{"kind":"label","n":1}'))
    assert not test(kinesis(b'{"kind":"label","n":true}'))
    assert not test(kinesis(b"\xff\x00"))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"a":1}',
        '{"a":[{"numeric":[">"]}]}',
        '{"a":[{"numeric":[">","1"]}]}',
        '{"a":[{"wildcard":"x*"}]}',
        '{"a":[{"prefix":1}]}',
        '{"a":[{"exists":"yes"}]}',
        '{"a":[{"anything-but":{"prefix":"x"}}]}',
        '{"$or":{"a":["x"]}}',
    ],
)
def test_a_pattern_that_cannot_be_followed_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="filter pattern"):
        compile_filters([text])
