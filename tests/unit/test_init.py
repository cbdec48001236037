import gzip
import json
import lzma

import polars as pl
import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from stream_features.spec import parse
from streamscore.cli import check, init
from streamscore.first_spec import profiles

CSV = """\
tx_id,event_time,customer_id,terminal_id,amount,category,is_fraud,zip,lat,step,note
1,2024-01-01T00:00:00Z,0012,7,12.30,ecom,0,02139,1.1234567,1,
2,2024-01-01T00:01:00Z,0012,8,5,pos,1,02139,2.5,2,"a, b"
3,2024-01-02T00:01:00Z,0013,8,-7.5,pos,0,10001,2.5,3,
"""
JSON = [
    {
        "id": "a",
        "at": 1700000000,
        "user": "u1",
        "device": {"id": "d1", "os": None},
        "price": 12.5,
        "ok": True,
    },
    {"id": "b", "at": 1700000001, "user": "u", "device": {"id": "d", "o.s": 1}, "price": 12, "tags": [1]},
]


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def first_spec(sample, tmp_path):
    """The written spec, after `check` with it on the sample itself."""
    found = run(init.command, sample, "-o", tmp_path / "first.toml")
    assert found.exit_code == 0
    assert run(check.command, sample, "--spec", tmp_path / "first.toml").exit_code == 0
    return parse((tmp_path / "first.toml").read_text())


def kinds(spec):
    return {f.name: f"{f.kind}{f.digits or ''}{'?' * f.optional}" for f in spec.event.fields}


@pytest.mark.parametrize(
    ("ending", "opened"), [(".csv", open), (".csv.gz", gzip.open), (".csv.xz", lzma.open)]
)
def test_a_csv_files_first_spec_checks_clean_on_it(tmp_path, ending, opened):
    sample = tmp_path / f"sample{ending}"
    with opened(sample, "wt") as file:
        file.write(CSV)
    spec = first_spec(sample, tmp_path)
    assert (spec.event.id, spec.event.time, spec.event.label) == ("tx_id", "event_time", "is_fraud")
    assert [(e.name, e.field) for e in spec.entities] == [
        ("customer", "customer_id"),
        ("terminal", "terminal_id"),
    ]
    assert kinds(spec) == {
        "amount": "decimal2",
        "category": "string",
        "zip": "string",
        "lat": "float",
        "step": "int",
        "note": "string?",
    }
    assert {"customer_amount_mean_7d", "terminal_label_rate_30d", "customer_since_last"} <= set(
        spec.feature_names
    )


def test_nested_and_missing_values_of_json_lines_are_found(tmp_path):
    sample = tmp_path / "sample.jsonl"
    sample.write_text("\n".join(json.dumps(record) for record in JSON[:2]) + "\n\n")
    spec = first_spec(sample, tmp_path)
    assert kinds(spec) == {"device_id": "string", "price": "decimal2", "ok": "bool?"}
    assert spec.fields["device_id"].path == ("device", "id")
    text = (tmp_path / "first.toml").read_text()
    assert '# "device_o.s" is left out: a key on its path is empty, or holds' in text


def test_a_key_that_later_rows_lack_or_bring_is_optional(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles, "ROWS", 2)
    sample = tmp_path / "sample.jsonl"
    records = [{"id": str(n), "at": 1700000000 + n, "user": "u", "n": n} for n in range(6)]
    records[0] |= {"early": 1, "mixed": 1}
    records[5] |= {"late": True, "mixed": "x"}
    sample.write_text("\n".join(json.dumps(record) for record in records))
    spec = first_spec(sample, tmp_path)
    assert kinds(spec) == {"n": "int", "early": "int?", "late": "bool?"}
    assert "# mixed is left out" in (tmp_path / "first.toml").read_text()


def test_a_typed_file_is_read_by_its_types(tmp_path):
    sample = tmp_path / "sample.parquet"
    rows = pl.read_csv(CSV.encode(), try_parse_dates=True).with_columns(
        pl.struct(pl.lit(1).alias("depth")).alias("inside"),
        pl.lit([1, 2]).alias("list"),
    )
    rows.write_parquet(sample)
    spec = first_spec(sample, tmp_path)
    assert kinds(spec)["inside_depth"] == "int"
    assert spec.event.time == "event_time"
    assert kinds(spec)["amount"] == "decimal2"


def test_every_guess_says_why(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    text = run(init.command, tmp_path / "a.csv").stdout
    guesses = [
        line for line in text.splitlines() if "=" in line and text.index(line) < text.index("[[feature]]")
    ]
    assert len(guesses) >= 12
    assert all("# guess: " in line for line in guesses)


def test_a_file_that_is_there_is_never_overwritten(tmp_path):
    (tmp_path / "a.csv").write_text(CSV)
    (tmp_path / "features.toml").write_text("mine")
    with pytest.raises(InvalidInputError, match="is there already"):
        run(init.command, tmp_path / "a.csv", "-o", tmp_path / "features.toml")
    assert (tmp_path / "features.toml").read_text() == "mine"


def test_rows_that_would_be_refused_are_counted(tmp_path):
    (tmp_path / "a.csv").write_text(CSV + "4,2024-13-02T00:01:00Z,0013,8,1,pos,0,10001,2.5,3,\n")
    found = run(init.command, tmp_path / "a.csv")
    assert found.exit_code == 0
    assert "3 rows of" in found.stderr and "1 would be refused" in found.stderr


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ("id,card\n1,a\n2,a\n", "no column holds a time"),
        (
            "at,card\n2024-01-01T00:00:00Z,a\n2024-01-02T00:00:00Z,a\n",
            "no column has a different value in every row",
        ),
        ("id,at\n1,2024-01-01T00:00:00Z\n2,2024-01-01T00:00:00Z\n", "no column says whose event it is"),
        ("id,at,card\n", "holds no rows"),
        ("", "empty CSV"),
    ],
)
def test_a_sample_that_lacks_a_part_is_refused_with_the_remedy(tmp_path, sample, says):
    (tmp_path / "a.csv").write_text(sample)
    with pytest.raises(InvalidInputError, match=says) as refused:
        run(init.command, tmp_path / "a.csv", "-o", tmp_path / "first.toml")
    assert str(refused.value).startswith(str(tmp_path / "a.csv"))
    assert not (tmp_path / "first.toml").exists()


def test_odd_names_of_columns_make_a_spec_all_the_same(tmp_path):
    header = '"Ünïque id","when at","Card No","a b","a.b",123,customer_count_1d,type,"é\\x"\n'
    rows = [f"{n},2024-01-01T00:00:0{n}Z,c{n % 2},x,{n},{n}.5,1,{n},q\n" for n in range(4)]
    (tmp_path / "a.csv").write_text(header + "".join(rows))
    spec = first_spec(tmp_path / "a.csv", tmp_path)
    assert spec.event.time == "when at"
    assert spec.entities[0].field == "Card No"


def test_the_shipped_kind_of_events_come_out_like_the_shipped_spec(tmp_path):
    records = [
        {
            "transaction_id": str(n),
            "event_time": f"2024-01-01T00:00:{n:02}.{n:03}Z",
            "customer_id": f"c{n % 5}",
            "terminal_id": f"t{n % 9}",
            "amount": n + 0.25,
            "is_fraud": n % 2,
        }
        for n in range(40)
    ]
    sample = tmp_path / "a.jsonl"
    sample.write_text("\n".join(json.dumps(record) for record in records))
    spec = first_spec(sample, tmp_path)
    assert (spec.event.id, spec.event.time, spec.event.label) == ("transaction_id", "event_time", "is_fraud")
    assert [entity.name for entity in spec.entities] == ["customer", "terminal"]
    assert kinds(spec) == {"amount": "decimal2"}
