"""The whole way through a small demo, run as a user runs it: a command in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

STREAMSCORE = Path(sys.executable).with_name("streamscore")
SMALL = ["--live", "300", "--customers", "150", "--history-days", "40", "--json"]

pytestmark = pytest.mark.e2e


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(STREAMSCORE), "demo", "--root", str(root), *SMALL, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_small_demo_holds_every_check(tmp_path: Path) -> None:
    with start(tmp_path) as demo:
        out, err = demo.communicate(timeout=240)

    assert demo.returncode == 0, err
    summary = json.loads(out)
    assert {check["name"] for check in summary["checks"] if check["held"]} == {
        "every event decided exactly once",
        "state equal to a backfill's",
        "served vectors bit-equal to backfilled ones",
        "no process left",
    }
