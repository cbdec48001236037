"""The schema for editors accepts what the parser accepts, and underlines what is misspelt."""

import tomllib
from pathlib import Path

import jsonschema
import pytest

from common.errors import InvalidInputError
from stream_features.ops import OPS
from stream_features.spec import parse
from stream_features.spec_event import EVENT_KEYS
from streamscore.spec_schema import EVENT, FEATURE, schema, to_json
from tests.unit.test_spec_language import COMPUTABLE, HEAD, OTHERS

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "src" / "features.toml"


def accepts(text: str) -> bool:
    return jsonschema.Draft7Validator(schema()).is_valid(tomllib.loads(text))


def test_the_schema_that_is_committed_is_up_to_date():
    written = (ROOT / "schemas" / "features.schema.json").read_text(encoding="utf-8")
    assert written == to_json(), "run .venv/bin/python scripts/spec_schema.py"


def test_the_schema_is_one_and_every_key_is_in_it():
    jsonschema.Draft7Validator.check_schema(schema())
    assert EVENT.keys() == EVENT_KEYS
    assert FEATURE.keys() == {key for op in OPS.values() for key in op.keys}


def test_the_spec_that_ships_is_accepted_and_names_the_schema():
    text = SHIPPED.read_text()
    assert accepts(text)
    first = text.splitlines()[0]
    assert first.startswith("#:schema ")
    assert (SHIPPED.parent / first.removeprefix("#:schema ")).resolve().is_file()


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_accepted(op):
    assert accepts(HEAD + f'op = "{op}"\n{COMPUTABLE[op]}' + OTHERS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "customer_count_{window}"', 'nmae = "customer_count_{window}"'),
        ('op = "count"', 'op = "cuont"'),
        ('op = "label_rate"', 'op = "distinct"'),
        ("hours = [0, 6]", "hours = [0, 24]"),
        ("hours = [0, 6]", 'timezone = "UTC"'),
        ('windows = ["1d", "7d", "30d"]', 'windows = ["1 day"]'),
        ('delay = "7d"', 'delay = "7"'),
        ('op = "is_weekend"', 'op = "is_weekend"\nentity = "customer"'),
        ("at night: {value}", "at night: {valeu}"),
        ("at night: {value}", "at night: {value"),
        ('id = "transaction_id"', 'idd = "transaction_id"'),
        ("decimal(2)", "decimal(13)"),
        ("decimal(2)", "money"),
        ("[entities] ", "[entity] "),
        ('customer = "customer_id"', '"a b" = "customer_id"'),
    ],
)
def test_what_is_misspelt_is_underlined_as_the_parser_refuses_it(old, new):
    text = SHIPPED.read_text()
    assert old in text
    wrong = text.replace(old, new)
    assert not accepts(wrong)
    with pytest.raises(InvalidInputError):
        parse(wrong)
