"""A backfill is the same however the file is cut, in whatever order it lies, and leaves nothing behind."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InvalidInputError
from stream_features.spec import parse
from stream_features.state import item_key, kernel_blob
from streamscore.event_files import write_events
from streamscore.training.backfill import backfill, to_frame, write_features
from streamscore.training.final_states import Newest, final_states
from streamscore.training.known import Ids, Values

SPEC = parse(
    """
[event]
id = "id"
time = "at"
label = "fraud"
label_known_after = "1h"
fields = { amount = "decimal(2)", kind = "string?", ok = "bool?" }
[entities]
card = "card"
shop = "shop"
[[feature]]
name = "amount"
op = "value"
of = "amount"
[[feature]]
name = "mean_{window}"
entity = "card"
op = "mean"
of = "amount"
windows = ["1h", "5h"]
[[feature]]
name = "risk_{window}"
entity = "shop"
op = "label_rate"
windows = ["2h"]
delay = "1h"
"""
)
T0_MS = 1_704_067_200_000
HALF_HOUR_MS = 1_800_000

event = st.fixed_dictionaries(
    {
        "id": st.integers(0, 60).map(str),
        "at": st.integers(0, 20).map(lambda n: T0_MS + n * HALF_HOUR_MS),
        "card": st.sampled_from("abc"),
        "shop": st.sampled_from("xy"),
        "amount": st.integers(0, 999).map(lambda cents: cents / 100),
        "fraud": st.sampled_from([True, False, None]),
    }
)
SCHEMA = {"id": pl.String, "at": pl.Int64, "card": pl.String, "shop": pl.String}
SCHEMA |= {"amount": pl.Float64, "fraud": pl.Boolean}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chunks")


@settings(deadline=None)
@given(
    events=st.lists(event, max_size=40),
    in_order=st.booleans(),
    rows=st.integers(1, 45),
    until=st.none() | st.integers(0, 24),
)
def test_chunk_bounds_change_no_bit(folder, events, in_order, rows, until):
    path, output = folder / "events.parquet", folder / "features.parquet"
    frame = pl.DataFrame(events, schema=SCHEMA)
    (frame.sort("at", maintain_order=True) if in_order else frame).write_parquet(path)
    until_ms = None if until is None else T0_MS + until * HALF_HOUR_MS
    whole, cut = backfill(SPEC, path, until_ms), backfill(SPEC, path, until_ms, rows=rows)
    assert whole.features.tobytes() == cut.features.tobytes()
    assert to_frame(whole).equals(to_frame(cut))
    for entity in SPEC.entities:
        assert dict(whole.states(entity.name)) == dict(cut.states(entity.name))
    one_go, many = final_states(SPEC, path, until_ms), final_states(SPEC, path, until_ms, rows=rows)
    for place, entity in enumerate(SPEC.entities):
        items = dict(one_go.of(place))
        assert items == dict(many.of(place))
        blobs = {item_key(entity.name, value): blob for value, blob in whole.states(entity.name)}
        assert {pk: kernel_blob(s) for pk, s in items.items()} == blobs
    if until is None:
        replay = write_features(SPEC, path, output, rows=rows)
        assert (replay.events, replay.repeats) == (len(whole.ids), whole.repeats)
        assert pl.read_parquet(output).equals(to_frame(whole))
    assert {one.name for one in folder.iterdir()} <= {"events.parquet", "features.parquet"}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.xz", ".jsonl", ".parquet"])
def test_every_format_is_cut_and_sorted_alike(tmp_path, ending):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "id": [f"e{n}" for n in range(500)],
            "at": T0_MS + rng.integers(0, 40, 500) * HALF_HOUR_MS,
            "card": rng.choice(["a", "b", 'c "quoted",\nin two lines'], 500),
            "shop": rng.choice(["x", "y"], 500),
            "amount": rng.integers(0, 9999, 500) / 100,
            "fraud": rng.random(500) < 0.2,
        }
    )
    path, ordered = tmp_path / f"events{ending}", tmp_path / "ordered.parquet"
    write_events(frame, path)
    write_events(frame.sort("at", maintain_order=True), ordered)
    assert to_frame(backfill(SPEC, path, rows=7)).equals(to_frame(backfill(SPEC, ordered)))


def test_a_refused_row_far_into_the_file_leaves_neither_output_nor_scratch(tmp_path):
    lines = [f"{n},{T0_MS - n},a,x,1.5" for n in range(200)]
    path = tmp_path / "events.csv"
    path.write_text("id,at,card,shop,amount\n" + "\n".join([*lines, "x,never,a,x,1"]) + "\n")
    with pytest.raises(InvalidInputError, match=r"events\.csv:202: "):
        write_features(SPEC, path, tmp_path / "features.parquet", rows=50)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_progress_ends_at_the_number_of_events_though_the_file_had_to_be_sorted(tmp_path):
    times = [*range(100), *range(50)]
    frame = pl.DataFrame({"id": [str(n) for n in range(150)], "at": [T0_MS + t for t in times]})
    path, told = tmp_path / "events.parquet", []
    frame.with_columns(card=pl.lit("a"), shop=pl.lit("x"), amount=1.0).write_parquet(path)
    backfill(SPEC, path, rows=30, advance=told.append)
    assert sum(told) == 150
    assert min(told) < 0


@given(chunks=st.lists(st.lists(st.integers(0, 30).map(str), max_size=12), max_size=8))
def test_an_id_is_new_once(chunks):
    ids, met = Ids(), set()
    for chunk in chunks:
        expected = [name not in met and name not in chunk[:n] for n, name in enumerate(chunk)]
        assert ids.new(pl.Series(chunk, dtype=pl.String)).to_list() == expected
        met.update(chunk)


@given(chunks=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8), max_size=6))
def test_a_value_keeps_its_number(chunks):
    values, expected = Values(), {}
    for chunk in chunks:
        codes = values.codes(pl.Series(chunk, dtype=pl.String)).tolist()
        for name, code in zip(chunk, codes, strict=True):
            assert expected.setdefault(name, code) == code
    names = values.names().to_list()
    assert len(names) == len(values) == len(expected)
    assert {name: code for code, name in enumerate(names)} == expected


@given(chunks=st.lists(st.lists(st.integers(0, 4), max_size=9), max_size=8), most=st.integers(1, 4))
def test_the_newest_entries_of_each_number_are_kept(chunks, most):
    newest, expected = Newest(most, 1), {number: b"" for number in range(5)}
    for chunk in chunks:
        entries = bytes(range(len(chunk)))
        newest.add(np.array(chunk, np.int32), np.frombuffer(entries, "V1"))
        for number, entry in zip(chunk, entries, strict=True):
            expected[number] = (expected[number] + bytes([entry]))[-most:]
    assert list(newest.each(5)) == list(expected.values())
