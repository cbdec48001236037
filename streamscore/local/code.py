"""The functions' code root: a compiled copy of what ships to Lambda, as read-only /var/task would be."""

import compileall
import py_compile
import shutil
from pathlib import Path

from common.errors import InvalidInputError


def copy_code(source: Path, target: Path, spec: Path | None = None) -> None:
    """Replace `target` by a copy of `source`, with `spec` as its features.toml if given, and compile it."""
    if not source.is_dir():
        raise InvalidInputError(f"the functions' code {source} is not a folder")
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    if spec is not None:
        shutil.copyfile(spec, target / "features.toml")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH  # as in the layers: no look at the source's time
    compileall.compile_dir(target, quiet=2, invalidation_mode=mode, workers=1)
