"""What `make build` zips has the same digest wherever, whenever and in whatever order it was written."""

import importlib.util
import os
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {"a.py": b"A = 1\n", "room/b.py": b"B = 2\n", "room/lib.so": b"\x7fELF"}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("pack_build", ROOT / "scripts/pack_build.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def written(folder: Path, names: list[str], date_s: float, mode: int) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(FILES[name])
        file.chmod(mode)
        os.utime(file, (date_s, date_s))
    return folder


def test_a_zip_depends_on_names_and_bytes_alone(script: ModuleType, tmp_path: Path) -> None:
    one = written(tmp_path / "here", list(FILES), 1e9, 0o644)
    other = written(tmp_path / "some/where/else", list(reversed(FILES)), 1.7e9, 0o600)
    digest = script.packed(one, tmp_path / "one.zip")
    assert script.packed(other, tmp_path / "other.zip") == digest
    (other / "a.py").write_bytes(b"A = 2\n")
    assert script.packed(other, tmp_path / "other.zip") != digest


def test_a_zip_holds_every_file_and_whether_it_can_be_run(script: ModuleType, tmp_path: Path) -> None:
    folder = written(tmp_path / "here", list(FILES), 1e9, 0o644)
    (folder / "room/lib.so").chmod(0o755)
    script.packed(folder, tmp_path / "made.zip")
    with zipfile.ZipFile(tmp_path / "made.zip") as made:
        assert {name: made.read(name) for name in made.namelist()} == FILES
        rights = {entry.filename: entry.external_attr >> 16 for entry in made.infolist()}
    assert rights == {"a.py": 0o644, "room/b.py": 0o644, "room/lib.so": 0o755}
