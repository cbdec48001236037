import json

import pytest
from click.testing import CliRunner

from streamscore.cli import check

SPEC = """\
[event]
id = "id"
time = "at"
label = "fraud"
fields = { amount = "decimal(2)" }
[entities]
card = "card"
[[feature]]
name = "n_{window}"
op = "count"
entity = "card"
windows = ["1h", "2d"]
"""
ROWS = """\
id,at,card,amount,fraud
1,2026-01-01T00:00:00.5Z,a,1.25,true
2,2026-01-02T00:00:00Z,b,1,
2,2026-01-03T00:00:00Z,a,1,0
4,2026-01-03T00:00:00Z,,1,0
5,never,a,1,0
6,2026-01-03T00:00:00Z,a,1.234,0
7,2026-01-03T00:00:00Z,a,1.999,0
"""


def checked(tmp_path, rows, *options):
    (tmp_path / "features.toml").write_text(SPEC)
    (tmp_path / "events.csv").write_text(rows)
    arguments = [str(tmp_path / "events.csv"), "--spec", str(tmp_path / "features.toml"), *options]
    return CliRunner().invoke(check.command, arguments, catch_exceptions=False)


def test_refused_rows_are_named_and_counted_by_reason_and_fail_the_command(tmp_path):
    found = checked(tmp_path, ROWS)
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert lines[0].endswith("events.csv:5: missing_field: card: is missing")
    assert [line.split(": ")[1] for line in lines[1:4]] == [
        "bad_time",
        "too_many_decimals",
        "too_many_decimals",
    ]
    assert lines[4].split() == ["2", "too_many_decimals"]


def test_what_is_fine_is_summed_up(tmp_path):
    *_, repeats, fine, labels, features = checked(tmp_path, ROWS).stdout.splitlines()
    assert "1  rows bear the id of an earlier one" in repeats
    assert fine.endswith("3  rows are fine, 2026-01-01T00:00:00.500Z to 2026-01-03T00:00:00.000Z (2 card)")
    assert labels.endswith("2  of them have a label, 1 a true one")
    assert features.endswith("2  features; state is kept for: card 2 days")


def test_json_says_the_same(tmp_path):
    found = json.loads(checked(tmp_path, ROWS, "--json").stdout)
    assert found["reasons"] == {"missing_field": 1, "bad_time": 1, "too_many_decimals": 2}
    assert (found["rows"], found["refused"], found["repeated_ids"], found["features"]) == (7, 4, 1, 2)
    assert found["entities"] == {"card": 2} and found["labels"] == {"known": 2, "true": 1}
    assert found["first"][0] == {"line": 5, "reason": "missing_field", "message": "card: is missing"}


@pytest.mark.parametrize("rows", [ROWS[: ROWS.index("2,2026-01-03")], ROWS[: ROWS.index("1,")]])
def test_a_file_without_a_fault_passes(tmp_path, rows):
    assert checked(tmp_path, rows).exit_code == 0
