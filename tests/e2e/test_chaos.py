"""A small stream under three schedules of faults ends as it does without any."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from stream_features import spec as specs
from streamscore.chaos import labels, stream
from streamscore.chaos.contents import Contents
from streamscore.chaos.differences import differences
from streamscore.chaos.run import parts_for, run
from streamscore.chaos.schedule import NOTHING, Mishap, Schedule
from streamscore.local.emulator import Emulator

EVENTS = 100
SPEC = specs.parse((Path(__file__).parents[2] / "src/features.toml").read_text(encoding="utf-8"), "")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> stream.Material:
    return stream.prepare(tmp_path_factory.mktemp("chaos") / "material", SPEC, EVENTS)


@pytest.fixture(scope="module")
def plain(
    material: stream.Material, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> Contents:
    parts = replace(parts_for(EVENTS, shards=1), emulator=emulator)
    ran = run(tmp_path_factory.mktemp("chaos") / "plain", SPEC, material, NOTHING, parts)
    assert len(ran.contents.decisions) == len(ran.contents.rows) == ran.events == EVENTS
    assert all(label is not None for _decision, label, *_ in ran.contents.decisions.values())
    assert {sum(ran.contents.counted[f"{kind} decisions"]) for kind in ("decided", "labelled")} == {EVENTS}
    actions = {decided["verdict"].decision for decided, *_ in ran.contents.decisions.values()}
    assert actions == {"approve", "review", "block"}
    assert any(decided["reasons"] for decided, *_ in ran.contents.decisions.values())
    outdated = sum(labels.coming(event) is labels.Coming.OUTDATED for event in range(EVENTS))
    assert +Counter(ran.befell) == {"records dropped that were known already": outdated}
    assert differences(ran.contents, ran.contents, EVENTS, {}) == []
    return ran.contents


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_stream_under_faults_ends_as_without_them(
    seed: int, material: stream.Material, plain: Contents, emulator: Emulator, tmp_path: Path
) -> None:
    parts = replace(parts_for(EVENTS, shards=2), emulator=emulator)
    ran = run(tmp_path / "ran", SPEC, material, Schedule(seed), parts)
    assert differences(plain, ran.contents, ran.events, ran.rubbish) == []
    assert sum(count for what, count in ran.befell.items() if what.startswith("calls")) > 0
    assert sum(count for what, count in ran.befell.items() if Mishap.KILLED.value in what) > 0
    assert ran.befell["shards: split"] == 2 and ran.befell["shards: merge"] == 1
