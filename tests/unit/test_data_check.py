"""Raw files: what is counted, set aside and kept, how far features drifted, whether labels fit."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from common.errors import InvalidInputError
from streamscore.retraining.check_data import label_signal
from streamscore.retraining.cleaning import clean
from streamscore.retraining.history import backfilled, drift_of, new_rows
from streamscore.training.tables import read_table
from tests import small_model
from tests.small_model import START_MS

DAY_MS = 86_400_000
NOW_MS = START_MS + 40 * DAY_MS
SPEC = small_model.spec()


def events(
    count: int = 3_000, days: int = 30, seed: int = 0, scale: float = 1.0, start: int = 0
) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    amount = (random.gamma(2.0, 50.0, count) * scale).round(2)
    return pl.DataFrame(
        {
            "id": [f"s{seed}-{n}" for n in range(count)],
            "at": START_MS + start + np.sort(random.integers(0, days * DAY_MS, count)),
            "card": [f"c{n}" for n in random.integers(0, 50, count)],
            "terminal": [f"t{n}" for n in random.integers(0, 80, count)],
            "amount": amount,
            "shop": pl.Series(["books", None] * (count // 2), dtype=pl.String),
            "fraud": random.random(count) < 1 / (1 + np.exp(6 - amount / 40)),
        }
    )


def cleaned(tmp_path: Path, frame: pl.DataFrame, name: str = "a") -> Path:
    frame.write_parquet(tmp_path / f"{name}.raw.parquet")
    clean(tmp_path / f"{name}.raw.parquet", SPEC, tmp_path / f"{name}.parquet", tmp_path / "aside", NOW_MS)
    return tmp_path / f"{name}.parquet"


def test_right_rows_are_kept_as_they_mean_and_wrong_ones_set_aside_with_their_lines(tmp_path: Path) -> None:
    lines = [
        "id,at,card,terminal,amount,fraud",
        f"e1,{START_MS},c1,t1,10.5,0",
        f"e2,{START_MS + DAY_MS},c1,t1,ten,0",
        f"e3,{START_MS + 2 * DAY_MS},,t1,7,0",
        f"e1,{START_MS + 3 * DAY_MS},c1,t1,12,1",
        f"e4,{NOW_MS - DAY_MS},c2,t1,12,1",
        f"e5,{START_MS + 5 * DAY_MS},c2,t1,12,",
    ]
    (tmp_path / "raw.csv").write_text("\n".join(lines) + "\n")
    found = clean(tmp_path / "raw.csv", SPEC, tmp_path / "to.parquet", tmp_path / "aside", NOW_MS)
    counts = found.counts
    assert (counts.rows, counts.refused, counts.repeats) == (6, 2, 1)
    assert (counts.labelled, counts.positives, counts.due, counts.due_labelled, counts.matured) == (
        2,
        1,
        2,
        1,
        1,
    )
    assert (counts.days, counts.span_days) == (3, 40)
    assert counts.missing == pytest.approx(0.5), "of two fields shop is not there at all"
    aside = [json.loads(line) for line in (tmp_path / "aside").read_text().splitlines()]
    assert [one["line"] for one in aside] == [3, 4]
    assert found.reasons == {one["reason"]: 1 for one in aside}
    kept = read_table(tmp_path / "to.parquet", SPEC)
    assert kept.refusals == []
    assert kept.rows["id"].to_list() == ["e1", "e4", "e5"]
    assert kept.rows["amount"].to_list() == [1050, 1200, 1200]


def test_a_file_that_is_none_of_events_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("id,card\n1,2\n")
    with pytest.raises(InvalidInputError, match="no column amount"):
        clean(tmp_path / "raw.csv", SPEC, tmp_path / "to", tmp_path / "aside", NOW_MS)


def test_of_an_event_in_several_files_the_newer_file_counts(tmp_path: Path) -> None:
    first = events(200)
    corrected = first.with_columns(~pl.col("fraud"))
    files = [cleaned(tmp_path, corrected, "new"), cleaned(tmp_path, first, "old")]
    table = pl.read_parquet(backfilled(SPEC, files, tmp_path))
    assert table.height == 200
    assert table["fraud"].cast(pl.Boolean).to_list() == corrected["fraud"].to_list()


def test_history_that_is_not_there_cannot_be_backfilled(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="raw-data/"):
        backfilled(SPEC, [], tmp_path)


@pytest.mark.parametrize(("scale", "drifted"), [(1.0, []), (2.0, ["amount", "card_mean_1d"])])
def test_drift_is_of_the_new_rows_and_only_beyond_what_sampling_explains(
    tmp_path: Path, scale: float, drifted: list[str]
) -> None:
    champion = trained(tmp_path)
    later = 30 * DAY_MS
    new = cleaned(tmp_path, events(2_000, 20, 7, scale, later), "new")
    features = backfilled(SPEC, [new, cleaned(tmp_path, events(), "old")], tmp_path)
    rows = new_rows(SPEC, features, [new])
    assert rows.height == 2_000
    assert rows["@age_ms"].min() >= later - DAY_MS
    assert sorted(drift_of(SPEC, rows, champion.bundle)) == drifted


def test_windows_that_still_fill_up_are_no_drift(tmp_path: Path) -> None:
    champion = trained(tmp_path)
    alone = cleaned(tmp_path, events(1_000, 3, 9), "alone")
    rows = new_rows(SPEC, backfilled(SPEC, [alone], tmp_path), [alone])
    assert "card_count_7d" not in drift_of(SPEC, rows, champion.bundle)


def test_labels_that_were_shuffled_do_not_fit_the_champion_and_right_ones_do(tmp_path: Path) -> None:
    champion = trained(tmp_path)
    features = backfilled(SPEC, [cleaned(tmp_path, events(seed=5), "new")], tmp_path)
    rows = pl.read_parquet(features)
    assert label_signal(SPEC, rows, champion).value == 1.0
    for seed in range(5):
        shuffled = rows.with_columns(rows["fraud"].shuffle(seed=seed))
        assert label_signal(SPEC, shuffled, champion).value == 0.0
    few = rows.head(60)
    assert "cannot tell" in label_signal(SPEC, few, champion).seen


def trained(tmp_path: Path) -> small_model.Model:
    """A champion of the features that a backfill of such events gives."""
    table = pl.read_parquet(backfilled(SPEC, [cleaned(tmp_path, events(), "train")], tmp_path))
    rows = small_model.Table(
        table["at"].dt.epoch("ms").to_numpy(),
        table.select(SPEC.feature_names).to_numpy().astype(np.float32),
        table["fraud"].cast(pl.Boolean).to_numpy(),
    )
    few = small_model.forest().set_params(n_estimators=10, n_jobs=1)
    recipe = small_model.Recipe(small_model.WINDOWS, small_model.Alerts(0.1, 0.02), estimator=few)
    made = small_model.fit(rows, SPEC, recipe)
    return small_model.Model(made.bundle, made.model)
