"""A price table from a file: what it changes, and how it is refused."""

import json
from pathlib import Path

import pytest

from common.errors import InvalidInputError
from common.prices import AS_OF, PRICES, REGION
from streamscore.estimate.price_file import load, parse

HEAD = 'region = "eu-central-1"\nas_of = "2026-12-01"\nsource = "our contract"\n'


def test_without_a_file_the_built_in_table_holds() -> None:
    table = load(None)
    assert (table.region, table.as_of, table.prices) == (REGION, AS_OF, PRICES)


def test_a_file_changes_the_prices_it_names_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(HEAD + "[prices]\nlambda_gb_s = 1.33334e-5\nhttp_requests = 0\n")
    table = load(path)
    assert (table.region, table.as_of) == ("eu-central-1", "2026-12-01")
    assert table.prices["lambda_gb_s"].usd == 1.33334e-5
    assert table.prices["lambda_gb_s"].source == "our contract"
    assert table.prices["http_requests"].usd == 0
    assert table.prices["s3_puts"] == PRICES["s3_puts"]


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    head = {"region": "eu-central-1", "as_of": "2026-12-01", "source": "our contract"}
    path.write_text(json.dumps(head | {"prices": {"log_kb": 0.5}}))
    assert load(path) == parse(HEAD + "[prices]\nlog_kb = 0.5\n", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "[prices]\nlambda_gbs = 1\n",
            r"p:5: prices.lambda_gbs: unknown price; lambda_gb_s is meant\?",
        ),
        (HEAD + "[prices]\ns3_puts = 1\nlog_kb = -1\n", r"p:6: prices.log_kb: -1 is no price"),
        (HEAD + "[prices]\nlog_kb = nan\n", r"p:5: prices.log_kb: nan is no price"),
        (HEAD + "[prices]\nlog_kb = true\n", r"p:5: prices.log_kb: True is no price"),
        (HEAD + "prizes = 1\n[prices]\nlog_kb = 1\n", r"p:4: prizes: unknown; known are region"),
        ('region = ""\n', r"p:1: region: a text in quotes is wanted"),
        ('region = "r"\nas_of = "d"\n[prices]\nlog_kb = 1\n', r"p: source is missing"),
        (HEAD, r"p: no prices; put them under \[prices\]"),
        (HEAD + "[prices\n", r"p: not TOML: .*line 4"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse(text, "p")


def test_json_errors_name_line_or_key() -> None:
    with pytest.raises(InvalidInputError, match="p:2: not JSON"):
        parse('{"region":\n,}', "p", as_json=True)
    with pytest.raises(InvalidInputError, match="p: prices.x: unknown price"):
        parse('{"region": "r", "as_of": "d", "source": "s", "prices": {"x": 1}}', "p", as_json=True)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"absent.toml: cannot be read"):
        load(tmp_path / "absent.toml")
