"""A small stream under three schedules of faults ends as it does without any."""

from pathlib import Path

import pytest

from stream_features import spec as specs
from streamscore.chaos import stream
from streamscore.chaos.contents import Contents, differences
from streamscore.chaos.run import parts_for, run
from streamscore.chaos.schedule import NOTHING, Fault, Mishap, Schedule

EVENTS = 100
SPEC = specs.parse((Path(__file__).parents[2] / "src/features.toml").read_text(encoding="utf-8"), "")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> stream.Material:
    return stream.prepare(tmp_path_factory.mktemp("chaos") / "material", SPEC, EVENTS)


@pytest.fixture(scope="module")
def plain(material: stream.Material, tmp_path_factory: pytest.TempPathFactory) -> Contents:
    ran = run(
        tmp_path_factory.mktemp("chaos") / "plain", SPEC, material, NOTHING, parts_for(EVENTS, shards=1)
    )
    assert len(ran.contents.decisions) == len(ran.contents.rows) == EVENTS
    assert all(label is not None for _decision, label, *_ in ran.contents.decisions.values())
    assert differences(ran.contents, ran.contents, broken=0) == []
    return ran.contents


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_stream_under_faults_ends_as_without_them(
    seed: int, material: stream.Material, plain: Contents, tmp_path: Path
) -> None:
    ran = run(tmp_path / "ran", SPEC, material, Schedule(seed), parts_for(EVENTS, shards=2))
    assert differences(plain, ran.contents, ran.broken) == []
    assert sum(count for fault, count in ran.faults.items() if fault is not Fault.NONE) > 0
    assert sum(count for mishap, count in ran.mishaps.items() if mishap is not Mishap.NONE) > 0
