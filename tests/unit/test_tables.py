"""EVENTS files: every format means the same, and the same as on the stream."""

import gzip
import json
import lzma
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from stream_features.spec import parse
from streamscore.cli.check import command as check_command
from streamscore.training.tables import read_events, read_table

TEXT = """
[event]
id = "id"
time = "at"
label = "fraud"
fields = { amount = "decimal(2)", kind = "string?", lat = "float?", n = "int? @ deep.n", ok = "bool?" }
[entities]
card = "card"
[[feature]]
name = "count"
entity = "card"
op = "count"
windows = ["1d"]
"""
SPEC = parse(TEXT)
NOW = 1_700_000_000_000
CSV = """\
id,at,card,amount,kind,lat,n,ok,fraud,unknown
b,2023-11-14T22:13:20Z,0012,12.5,web,1.5,3,true,1,x
a,2023-11-14 22:13:19.5,7,-0.05,,,,,0,
c,1700000001,007,1e2,x y,-2,,false,,
"""
EXPECTED = [
    {"id": "a", "at": NOW - 500, "card": "7", "amount": Decimal("-0.05"), "fraud": False},
    {"id": "b", "at": NOW, "card": "0012", "amount": Decimal("12.50"), "fraud": True}
    | {"kind": "web", "lat": 1.5, "n": 3, "ok": True},
    {"id": "c", "at": NOW + 1000, "card": "007", "amount": Decimal("100.00"), "fraud": None}
    | {"kind": "x y", "lat": -2.0, "ok": False},
]
ABSENT = {"kind": None, "lat": None, "n": None, "ok": None}


def rows(path: Path) -> list[dict[str, object]]:
    (frame,) = read_events(path, SPEC)
    return frame.to_dicts()


def written(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "pack"), [("e.csv", bytes), ("e.csv.gz", gzip.compress), ("e.csv.xz", lzma.compress)]
)
def test_text_tables_are_read_exactly_and_in_the_order_of_time(tmp_path, name, pack):
    assert rows(written(tmp_path, name, pack(CSV.encode()))) == [ABSENT | row for row in EXPECTED]


def test_json_lines_are_the_streams_own_records(tmp_path):
    lines = [
        '{"id": "b", "at": "2023-11-14T22:13:20Z", "card": "0012", "amount": 12.50, "kind": "web",'
        ' "lat": 1.5, "deep": {"n": 3}, "ok": true, "fraud": true}',
        "",
        '{"id": "a", "at": 1699999999.5, "card": 7, "amount": -0.05, "fraud": 0}',
        '{"id": "c", "at": 1700000001000, "card": "007", "amount": 1e2, "kind": "x y", "lat": -2,'
        ' "ok": false}',
    ]
    assert rows(written(tmp_path, "e.jsonl", "\n".join(lines).encode())) == [ABSENT | row for row in EXPECTED]


def test_parquet_may_hold_floats_datetimes_and_integer_ids(tmp_path):
    path = tmp_path / "e.parquet"
    pl.DataFrame(
        {
            "id": [2, 1],
            "at": pl.Series([NOW, NOW - 500]).cast(pl.Datetime("ms")),
            "card": ["0012", "7"],
            "amount": [12.5, 0.1 + 0.2],
            "lat": [float("nan"), 1.5],
            "deep.n": [3, None],
            "fraud": [1, 0],
        }
    ).write_parquet(path)
    first, second = rows(path)
    assert (first["id"], first["at"], first["amount"]) == ("1", NOW - 500, Decimal("0.30"))
    assert (second["id"], second["n"], second["lat"], second["fraud"]) == ("2", 3, None, True)


def test_parquet_may_hold_structs_binary_text_and_no_value(tmp_path):
    path = tmp_path / "e.parquet"
    pl.DataFrame(
        {"id": [b"1", b"2"], "at": [NOW] * 2, "card": ["a"] * 2, "amount": [1, 2], "deep": [{"n": 3}, None]}
    ).write_parquet(path)
    assert [(row["id"], row["n"]) for row in rows(path)] == [("1", 3), ("2", None)]


def test_blank_lines_of_a_csv_are_no_rows_and_still_count_as_lines(tmp_path):
    text = "id,at,card,amount\n\n1,2023-11-14T22:13:20,a,1\n,,,\n2,never,a,1\n\n"
    table = read_table(written(tmp_path, "e.csv", text.encode()), SPEC)
    assert table.rows["id"].to_list() == ["1"]
    assert [refusal.line for refusal in table.refusals] == [5]


def test_decimals_of_parquet_are_exact(tmp_path):
    path = tmp_path / "e.parquet"
    amounts = [Decimal("90071992547409.92"), Decimal("12.3000"), Decimal("-0.0500"), Decimal("100.0000")]
    column = pl.Series("amount", amounts, dtype=pl.Decimal(30, 4))
    pl.DataFrame(
        {"id": ["1", "2", "3", "4"], "at": [NOW] * 4, "card": ["a"] * 4, "amount": column}
    ).write_parquet(path)
    assert [row["amount"] for row in rows(path)] == amounts


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("id", "", "missing_field"),
        ("card", "", "missing_field"),
        ("card", "x" * 1025, "out_of_range"),
        ("at", "yesterday", "bad_time"),
        ("at", "2023-02-30T00:00:00", "bad_time"),
        ("at", "2023-11-14T22:13:60", "bad_time"),
        ("at", "1969-12-31T00:00:00", "bad_time"),
        ("at", "", "missing_field"),
        ("amount", "", "missing_field"),
        ("amount", "12.345", "too_many_decimals"),
        ("amount", "90071992547409.93", "out_of_range"),
        ("amount", "9" * 40, "out_of_range"),
        ("amount", "abc", "wrong_type"),
        ("amount", "1_000", "wrong_type"),
        ("amount", "nan", "not_finite"),
        ("amount", "inf", "not_finite"),
        ("lat", "1e400", "out_of_range"),
        ("lat", "high", "wrong_type"),
        ("n", "1.5", "too_many_decimals"),
        ("ok", "maybe", "wrong_type"),
        ("fraud", "perhaps", "bad_label"),
    ],
)
def test_a_row_that_the_stream_would_refuse_is_refused_with_its_line(tmp_path, column, value, reason):
    good = {
        "id": "1",
        "at": "2023-11-14T22:13:20",
        "card": "a",
        "amount": "1.5",
        "lat": "",
        "n": "",
        "ok": "",
    }
    good["fraud"] = "0"
    bad = good | {column: value}
    lines = [",".join(good), ",".join(good.values()), ",".join(bad.values()), ",".join(good.values())]
    path = written(tmp_path, "e.csv", "\n".join(lines).encode())
    table = read_table(path, SPEC)
    assert table.rows.height == 2
    assert [(refusal.line, refusal.reason) for refusal in table.refusals] == [(3, reason)]
    with pytest.raises(InvalidInputError, match=r"e\.csv:3: "):
        list(read_events(path, SPEC))


@pytest.mark.parametrize(
    ("text", "cents"),
    [("85.64999999999999", 8565), ("52.300000000000004", 5230), ("9007199254740.99", 900719925474099)],
)
def test_what_float64_left_beside_a_decimal_is_that_decimal(tmp_path, text, cents):
    path = written(tmp_path, "e.csv", f"id,at,card,amount\n1,2023-11-14T22:13:20,a,{text}\n".encode())
    assert read_table(path, SPEC).rows["amount"].to_list() == [cents]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("e.csv", b"id,at,amount\n1,2,3\n", "no column card"),
        ("e.csv", b"id;at;card;amount\n", "it has id;at;card;amount; separate values by commas"),
        ("e.csv", b"", "cannot be read"),
        ("e.csv", b"id,at,card,amount\n1,2,3,4\n5,6,7,8,9\n", "lines 2 to 4: a row has more values than"),
        ("e.csv", b"id,at,card,amount\n1,2,caf\xe9,4\n", "not UTF-8; convert it"),
        ("e.csv.xz", b"not xz", "not compressed as its name says"),
        ("e.csv.gz", b"not gz", "not compressed as its name says"),
        ("e.csv.gz", b"\x1f\x8bnot gz", "cannot be read"),
        ("e.csv.gz", gzip.compress(b"id,at,card,amount\n", mtime=0)[:-9], "ended before"),
        ("e.parquet", b"PAR1", "cannot be read"),
        ("e.xlsx", b"", "not an EVENTS file"),
        ("e.jsonl", b'{"id": 1}\n{', r"e.jsonl:1: at: is missing \(and at least 1 more\)"),
        ("e.jsonl", b'{"type":"label","id":1,"at":1,"card":1,"fraud":true,"label_time":1}', "a label record"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, name, data, says):
    with pytest.raises(InvalidInputError, match=says) as refused:
        list(read_events(written(tmp_path, name, data), SPEC))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="no such file"):
        list(read_events(tmp_path / "none.csv", SPEC))


def check(tmp_path: Path, csv: str, *flags: str) -> tuple[int, str]:
    spec, events = tmp_path / "features.toml", written(tmp_path, "e.csv", csv.encode())
    spec.write_text(TEXT)
    done = CliRunner().invoke(
        check_command, [str(events), "--spec", str(spec), *flags], catch_exceptions=False
    )
    return done.exit_code, done.stdout


def test_check_says_what_is_wrong_and_exits_1(tmp_path):
    code, said = check(tmp_path, CSV + "d,2023-11-14T22:13:20Z,1,12.345,,,,,,\n")
    assert code == 1
    assert "e.csv:5: too_many_decimals: amount: more than 2 decimals" in said
    assert "3  rows are fine, 2023-11-14T22:13:19.500Z to 2023-11-14T22:13:21.000Z (3 card)" in said


def test_check_of_a_good_file_exits_0(tmp_path):
    code, said = check(tmp_path, CSV, "--json")
    assert code == 0
    summary = json.loads(said)
    assert (summary["rows"], summary["refused"], summary["reasons"]) == (3, 0, {})
