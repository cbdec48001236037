"""What released versions wrote is read to the bit: rows in flight, states, decisions, windows, bundles."""

import base64
import json
import shutil
from pathlib import Path

import pytest

from common.errors import InvalidInputError
from tests import frozen

VERSIONS = sorted(folder.name for folder in frozen.FORMATS.iterdir())


def test_at_least_one_version_is_kept() -> None:
    assert VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_version_wrote_is_read_as_it_was_read_then(version: str) -> None:
    folder = frozen.FORMATS / version
    expected = json.loads((folder / "read.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(frozen.read(folder))) == expected
    assert all(expected.values())


WRITTEN = ("states.json", "state-table.json", "decisions-table.json", "monitor-table.json")


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_today_is_what_the_newest_version_kept(name: str, written: Path) -> None:
    """Otherwise a format has changed: keep it too, as the version that will have it (tests/frozen.py)."""
    assert (written / name).read_bytes() == (frozen.FORMATS / VERSIONS[-1] / name).read_bytes()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "today"
    frozen.freeze(folder)
    return folder


def test_what_a_repeat_or_a_known_label_gives_is_nothing_after_a_deployment_either() -> None:
    kept = json.loads((frozen.FORMATS / VERSIONS[-1] / "read.json").read_text(encoding="utf-8"))
    assert len(kept["tables"]["state"]) == 1, "of three records one is new"


def test_a_state_of_a_version_that_is_not_known_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(frozen.FORMATS / VERSIONS[-1], tmp_path / "kept")
    w, s = json.loads((folder / "states.json").read_text(encoding="utf-8"))[0]
    memory = bytearray(base64.b64decode(s))
    memory[1] = 99  # the version comes first
    kept = [[w, base64.b64encode(memory).decode()]] * 2
    (folder / "states.json").write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="state"):
        frozen.read(folder)
