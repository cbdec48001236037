"""docs/tutorial.md is what a newcomer types: its commands run here as they stand, in its order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamscore.local import stack as stacks

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


pytestmark = pytest.mark.e2e


def shell(script: str, folder: Path) -> str:
    """What the script says on both outputs; none of its commands may fail."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}"
    return done.stdout


def test_its_commands_lead_from_a_file_to_a_decision(tmp_path: Path) -> None:
    *before, looking = BLOCKS
    assert len(before) == 4
    try:
        for block in before:
            shell(block.replace("local up", "local up --port 0"), tmp_path)
        stacks.load(tmp_path).drain()  # "a second later", on any machine
        said = shell(looking, tmp_path)
    finally:
        stacks.down(tmp_path)
    assert re.search(r"^decision +(approve|review|block), score ", said, re.MULTILINE), said
    assert re.search(r"^held: \d{3,} events × \d+ features, bit for bit$", said, re.MULTILINE), said
