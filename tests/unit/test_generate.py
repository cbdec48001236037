import gzip
import json
import lzma
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from streamscore.cli.generate import command
from streamscore.simulator import Scale, simulate, to_frame

SMALL = ["--days", "3", "--customers", "30", "--terminals", "40", "--seed", "5"]


def generate(path: Path) -> bytes:
    result = CliRunner().invoke(command, ["-o", str(path), *SMALL], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return path.read_bytes()


def test_every_format_holds_the_same_rows(tmp_path: Path) -> None:
    csv = generate(tmp_path / "events.csv")

    assert gzip.decompress(generate(tmp_path / "events.csv.gz")) == csv
    assert lzma.decompress(generate(tmp_path / "events.csv.xz")) == csv
    generate(tmp_path / "events.parquet")
    assert pl.read_parquet(tmp_path / "events.parquet").write_csv().encode() == csv
    lines = [json.loads(line, parse_float=str) for line in generate(tmp_path / "events.jsonl").splitlines()]
    columns = pl.read_csv(csv, infer_schema=False)
    assert pl.DataFrame(lines).select(pl.col(columns.columns).cast(pl.String)).equals(columns)


def test_the_file_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    for ending in ("csv", "csv.gz", "csv.xz", "jsonl", "parquet"):
        assert generate(tmp_path / f"one.{ending}") == generate(tmp_path / f"two.{ending}")


def test_amounts_keep_two_decimals_and_times_are_rfc_3339(tmp_path: Path) -> None:
    rows = pl.read_csv(generate(tmp_path / "events.csv"), infer_schema=False)

    assert rows["amount"].str.contains(r"^\d+\.\d\d$").all()
    assert rows["event_time"].str.contains(r"^2018-04-0[1-3]T\d\d:\d\d:\d\d\.\d\d\dZ$").all()
    assert rows["transaction_id"].is_unique().all()


def test_an_unknown_ending_is_refused_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"events\.xlsx: unknown ending; use one of \.csv"):
        CliRunner().invoke(command, ["-o", str(tmp_path / "events.xlsx"), *SMALL], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nowhere does not exist"):
        CliRunner().invoke(
            command, ["-o", str(tmp_path / "nowhere" / "e.csv"), *SMALL], catch_exceptions=False
        )


def test_the_amount_column_is_exact() -> None:
    transactions = simulate(Scale(30, 40, 3), seed=5)
    cents = (to_frame(transactions)["amount"] * 100).cast(pl.Int64).to_numpy()
    assert (cents == transactions.amount_cents).all()
