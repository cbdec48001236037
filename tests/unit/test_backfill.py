"""Backfill and tables, on small simulated histories."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from common.errors import InvalidInputError
from stream_features.events import Event, Label, event_hash, label_hash
from stream_features.kernel import Columns, Group, fold
from stream_features.spec import Spec, parse
from streamscore.cli.backfill import command as backfill_command
from streamscore.simulator import Scale, simulate, to_frame
from streamscore.training.backfill import backfill
from tests import oracle

TEXT = (Path(__file__).parents[2] / "src" / "features.toml").read_text().replace('"7d"', '"2d"')
SPEC = parse(TEXT.replace("30d", "5d"))  # shorter, so that a short history reaches every window


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    simulated = to_frame(simulate(Scale(customers=8, terminals=4, days=20, start=date(2024, 1, 1)), seed=3))
    return simulated.with_columns((pl.int_range(pl.len()) % 5 == 0).cast(pl.Int8).alias("is_fraud"))


@pytest.fixture(scope="module")
def events_file(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backfill") / "events.csv"
    frame.sample(fraction=1, shuffle=True, seed=1).write_csv(path)
    return path


def arrivals(spec: Spec, frame: pl.DataFrame) -> list[Event | Label]:
    """The file's events, and its labels when they become known, in the order of arrival."""
    records: list[tuple[int, int, Event | Label]] = []
    for row in frame.sort("event_time", maintain_order=True).iter_rows(named=True):
        at_ms = int(np.datetime64(row["event_time"].removesuffix("Z"), "ms").astype(np.int64))
        known_ms = at_ms + (spec.event.label_known_after_ms or 0)
        name, entities = row["transaction_id"], (row["customer_id"], row["terminal_id"])
        cents = int(row["amount"] * 100)
        event = Event(name, event_hash(name), at_ms, at_ms, None, entities, (cents,), (cents,))
        label = Label(name, label_hash(name), at_ms, known_ms, bool(row["is_fraud"]), known_ms, entities)
        records += [(at_ms, 1, event), (known_ms, 0, label)]
    return [record for _, _, record in sorted(records, key=lambda entry: entry[:2])]


def test_a_backfill_equals_the_oracle(frame, events_file):
    result = backfill(SPEC, events_file)
    records = arrivals(SPEC, frame)
    rows = [row for row in oracle.features(SPEC, records) if row is not None]
    assert result.ids.to_list() == [record.id for record in records if isinstance(record, Event)]
    np.testing.assert_array_equal(result.features, np.array(rows, np.float32))
    assert (result.features[:, SPEC.feature_names.index("terminal_risk_5d")] > 0).any()


def test_a_backfill_ends_with_the_states_of_a_stream(frame, events_file):
    result, blobs = backfill(SPEC, events_file), {}
    features, records = [], arrivals(SPEC, frame)
    for start in range(0, len(records), 37):
        batch, groups, names = records[start : start + 37], [], []
        for j in range(2):
            order = list(dict.fromkeys(record.entities[j] for record in batch))
            codes = np.array([order.index(record.entities[j]) for record in batch], np.int32)
            states = [blobs.get((j, name), b"") for name in order]
            groups.append(Group(codes, states, np.ones(len(batch), np.bool_)))
            names.append(order)
        folded = fold(SPEC, Columns.from_records(SPEC, batch), groups)
        features += [
            row for row, record in zip(folded.features, batch, strict=True) if isinstance(record, Event)
        ]
        for j, order in enumerate(names):
            blobs |= {(j, name): blob for name, blob in zip(order, folded.blobs[j], strict=True)}
    np.testing.assert_array_equal(result.features, np.array(features))
    for j, entity in enumerate(SPEC.entities):
        assert dict(result.states(entity.name)) == {name: b for (k, name), b in blobs.items() if k == j}
    assert result.state("customer", "nobody") == b""


def test_until_leaves_out_what_arrives_later(frame, events_file):
    until_ms = int(np.datetime64("2024-01-10T12:00:00", "ms").astype(np.int64))
    result, records = backfill(SPEC, events_file, until_ms), arrivals(SPEC, frame)
    early = [record for record in records if record.arrival_ms <= until_ms]
    assert len(result.ids) == sum(isinstance(record, Event) for record in early)
    name = early[0].entities[1]
    mine = [record for record in early if record.entities[1] == name]
    zeros = np.zeros(len(mine), np.int32)
    groups = [Group(zeros, [b""], np.ones(len(mine), np.bool_))] * 2
    assert fold(SPEC, Columns.from_records(SPEC, mine), groups).blobs[1] == [result.state("terminal", name)]


def test_the_command_writes_ids_times_entities_features_and_the_label(events_file, tmp_path):
    spec, output = tmp_path / "features.toml", tmp_path / "features.parquet"
    spec.write_text(TEXT)
    done = CliRunner().invoke(
        backfill_command, [str(events_file), "-o", str(output), "--spec", str(spec)], catch_exceptions=False
    )
    assert done.exit_code == 0
    table = pl.read_parquet(output)
    names = list(parse(TEXT).feature_names)
    assert table.columns == ["transaction_id", "event_time", "customer_id", "terminal_id", *names, "is_fraud"]
    assert table.schema["event_time"] == pl.Datetime("ms", "UTC")
    assert {table.schema[name] for name in names} == {pl.Float32()}
    assert table["event_time"].is_sorted()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_an_event_whose_id_came_before_is_left_out(frame, tmp_path):
    path = tmp_path / "twice.parquet"
    pl.concat([frame, frame.head(3)]).write_parquet(path)
    result = backfill(SPEC, path)
    assert (len(result.ids), result.repeats) == (frame.height, 3)


def test_label_features_need_to_know_when_labels_become_known(events_file):
    spec = parse(TEXT.replace("label_known_after", "# label_known_after"))
    with pytest.raises(InvalidInputError, match="label_known_after"):
        backfill(spec, events_file)


def test_nothing_is_left_behind_when_the_output_cannot_be_written(events_file, tmp_path):
    with pytest.raises(InvalidInputError, match="cannot be written"):
        CliRunner().invoke(
            backfill_command,
            [str(events_file), "-o", str(tmp_path / "no" / "x.parquet")],
            catch_exceptions=False,
        )
