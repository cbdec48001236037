"""Lines of a LABELS file become the label records that the stream takes; what it would refuse, by line."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from common.errors import InvalidInputError
from stream_features import spec as specs
from stream_features.events import Label, decoder
from streamscore.producer.labels import Labels, labels_of, read_lines
from tests import small_model

NOW_MS = 1_764_000_000_000
EVENT_MS = NOW_MS - 10 * 86_400_000
AT, LATER = "2025-11-14T16:00:00.000Z", "2025-11-24T12:00:00.000Z"
LATER_MS = NOW_MS - 4 * 3_600_000
SPEC = small_model.spec()


def decision(id_: str, **known: Any) -> dict[str, Any]:
    """As the table has it; `known` may be a label and its time."""
    item = {
        "pk": {"S": id_},
        "entity": {"S": "c1"},
        "entities": {"M": {"terminal": {"S": "007"}}},
        "event_time": {"N": str(EVENT_MS)},
    }
    if known:
        item |= {"label": {"BOOL": known["label"]}, "label_time": {"N": str(known["label_time_ms"])}}
    return item


def read(path: Path, *decisions: Mapping[str, Any]) -> Labels:
    stored = {one["pk"]["S"]: one for one in decisions}

    def look(ids: Sequence[str]) -> dict[str, Any]:
        return {id_: stored[id_] for id_ in ids if id_ in stored}

    return labels_of(SPEC, read_lines(path, SPEC), look, NOW_MS)


def decoded(found: Labels) -> list[tuple[Any, ...]]:
    """The records as the stream's consumer reads them."""
    read_by_stream = [decoder(SPEC).decode(record.data, NOW_MS) for record in found.records]
    assert all(isinstance(one, Label) for one in read_by_stream)
    return [(one.id, one.time_ms, one.entities, one.label, one.label_time_ms) for one in read_by_stream]


def refusals(found: Labels) -> list[tuple[int, str]]:
    return [(refusal.line, refusal.reason) for refusal in found.refusals]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def test_time_and_entities_are_the_decisions_and_a_label_without_time_is_known_now(file: Path) -> None:
    file.write_text("id,fraud\ne1,1\ne2,false\n")
    found = read(file, decision("e1"), decision("e2"))
    assert decoded(found) == [
        ("e1", EVENT_MS, ("c1", "007"), True, NOW_MS),
        ("e2", EVENT_MS, ("c1", "007"), False, NOW_MS),
    ]
    assert [record.key for record in found.records] == ["c1", "c1"]


@pytest.mark.parametrize("name", ["l.csv.gz", "l.jsonl", "l.parquet"])
def test_every_kind_of_file_says_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    row = {"id": "0012", "fraud": 1, "label_time": LATER, "at": AT, "card": "c9", "terminal": "t", "more": 1}
    if name.endswith(".gz"):
        path.write_bytes(
            gzip.compress(",".join(row).encode() + b"\n" + ",".join(map(str, row.values())).encode())
        )
    elif name.endswith(".jsonl"):
        path.write_bytes(b"\n" + msgspec.json.encode(row) + b"\n")
    else:
        pl.DataFrame([row | {"label_time": pl.Series([LATER]).str.to_datetime()[0]}]).write_parquet(path)
    found = read(path)
    assert not found.refusals
    assert decoded(found) == [("0012", EVENT_MS, ("c9", "t"), True, LATER_MS)]


def test_an_event_that_was_never_decided_needs_time_and_entities(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        f'{{"id": 7, "fraud": true, "at": "{AT}", "card": "c", "terminal": "t"}}\n{{"id": 8, "fraud": 0}}'
    )
    found = read(path)
    assert decoded(found) == [("7", EVENT_MS, ("c", "t"), True, NOW_MS)]
    assert refusals(found) == [(2, "no_decision")]
    assert found.refusals[0].message.startswith("at, card, terminal: not given")


def test_what_is_known_is_not_put_again_and_a_correction_is(file: Path) -> None:
    known = decision("e1", label=True, label_time_ms=LATER_MS)
    file.write_text("id,fraud\ne1,true\n")
    assert (read(file, known).known, read(file, known).records) == (1, [])
    file.write_text(f"id,fraud,label_time\ne1,true,{LATER}\ne1,true,{AT}\n")
    assert (read(file, known).known, read(file, known).records) == (2, [])
    file.write_text("id,fraud\ne1,false\n")
    assert decoded(read(file, known)) == [("e1", EVENT_MS, ("c1", "007"), False, NOW_MS)]
    file.write_text("id,fraud,label_time\ne1,true,2025-11-24T12:00:00.001Z\n")
    assert len(read(file, known).records) == 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("e1,maybe,,,", (2, "bad_label")),
        ("e1,,,,", (2, "bad_label")),
        (",1,,,", (2, "missing_field")),
        ("e1,1,yesterday,,", (2, "bad_time")),
        ("e1,1,2025-12-24T12:00:00Z,,", (2, "too_far_ahead")),
        ("e1,1,,,c2", (2, "other_event")),
        ("e1,1,,2025-11-14T16:00:01Z,", (2, "other_event")),
        ("e1,1,,,\ne1,0,,,", (3, "contradiction")),
    ],
)
def test_a_line_that_cannot_be_is_refused_by_its_number(
    file: Path, lines: str, expected: tuple[int, str]
) -> None:
    file.write_text(f"id,fraud,label_time,at,card\n{lines}\n")
    found = read(file, decision("e1"))
    assert refusals(found) == [expected]
    assert "c1" not in found.refusals[0].message


def test_both_answers_with_their_times_are_put_in_their_order(file: Path) -> None:
    file.write_text(f"id,fraud,label_time\ne1,1,{AT}\ne1,0,{LATER}\n")
    assert [label for *_, label, _ in decoded(read(file, decision("e1")))] == [True, False]


def test_a_line_that_is_no_object_is_refused_and_blank_ones_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b'\n[1]\n{"id": \xff}\n')
    assert refusals(read(path)) == [(2, "bad_json"), (3, "bad_json")]


def test_a_file_without_id_or_label_is_refused_whole(file: Path) -> None:
    file.write_text("event,fraud\ne1,1\n")
    with pytest.raises(InvalidInputError, match="no column id; it has event, fraud"):
        read(file)
    with pytest.raises(InvalidInputError, match="no such file"):
        read(file.with_name("absent.csv"))
    without = specs.parse(small_model.SPEC.replace('label = "fraud"\nlabel_known_after = "7d"\n', ""))
    with pytest.raises(InvalidInputError, match="names no label"):
        list(read_lines(file, without))
