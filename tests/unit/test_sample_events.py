"""The files in events/ are what the contract's own code makes, and say what their names promise."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from common.records import kinesis_records
from monitor import baseline, windows
from stream_features.events import decoder
from stream_features.intake import take
from stream_features.spec import Spec, parse
from stream_features.state import Out, decode_out
from streamscore.samples.catalogue import sample_events

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def spec() -> Spec:
    return parse((ROOT / "src/features.toml").read_text(encoding="utf-8"))


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return event


def outs(event: dict[str, Any]) -> list[Out]:
    images = [record["dynamodb"]["NewImage"] for record in event["Records"]]
    return [decode_out(base64.b64decode(image["out"]["B"])) for image in images]


def test_the_files_are_what_the_contract_makes(spec: Spec) -> None:
    made = {name: json.dumps(event, indent=2) + "\n" for name, event in sample_events(spec).items()}
    files = {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "events").glob("*.json")}
    sketches = "monitor-window-final.json"  # compressed in it, and compressors differ in their bytes
    assert json.loads(files.pop(sketches)).keys() == json.loads(made.pop(sketches)).keys()
    assert files == made, "run scripts/make_events.py"


def test_the_aggregate_holds_the_plain_batchs_records() -> None:
    plain, aggregated = (kinesis_records(sample(name)) for name in ("features-plain", "features-kpl"))
    assert [record.data for record in aggregated[0]] == [record.data for record in plain[0]]
    assert not plain[1] + aggregated[1]
    assert len({record.sequence for record in aggregated[0]}) == 1


def test_the_poisoned_batch_is_refused_for_five_reasons(spec: Spec) -> None:
    intake = take(sample("features-poison"), spec, decoder(spec))
    assert [refused.reason for refused in intake.refused] == [
        "bad_json",
        "too_many_decimals",
        "missing_field",
        "too_far_ahead",
        "wrong_type",
    ]
    assert len(intake.raw) == 2


def test_the_state_stream_carries_every_row_and_the_label_once(spec: Spec) -> None:
    found = outs(sample("scoring-state-stream"))
    assert sorted(row.id for out in found for row in out.rows) == ["1001", "1002", "1003", "1004", "1005"]
    assert [label.id for out in found for label in out.labels] == ["1001"]
    assert {out.spec_sha for out in found} == {spec.sha256}


def test_the_first_call_of_a_window_has_no_state_and_the_last_has_what_was_counted() -> None:
    batch, last = sample("monitor-window"), sample("monitor-window-final")
    assert (batch["isFinalInvokeForWindow"], last["isFinalInvokeForWindow"]) == (False, True)
    assert (batch["state"], last["Records"]) == ({}, [])
    window = windows.read(last)
    tallies = windows.unpack(window, {"sample-model": baseline.Model().layout})
    assert [(tally.decisions, tally.labelled) for tally in tallies.values()] == [(5, 1)]
