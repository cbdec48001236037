"""Peers in processes and environments of their own, CPU laps, tables: what the speed benches share."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BENCH_PYTHON = ROOT / ".tools/bench/bin/python"
BYTEWAX_PYTHON = ROOT / ".tools/bytewax/bin/python"
THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ALONE = dict.fromkeys(THREADS, "1") | {"PYTHONPATH": ""}


@dataclass(frozen=True)
class Peer:
    """A script of benchmarks/peers and the interpreter it needs; scripts/bootstrap.sh makes both."""

    name: str
    script: str
    python: Path = BENCH_PYTHON
    options: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """Why it cannot run here, or nothing."""
        return "" if self.python.exists() else f"no {self.python.relative_to(ROOT)}"

    def run(self, *arguments: object) -> dict[str, Any]:
        """What the script reports about its own CPU time; it runs on one thread."""
        script = ROOT / "benchmarks/peers" / self.script
        command = [str(part) for part in (self.python, script, *arguments, *self.options)]
        done = subprocess.run(command, env=os.environ | ALONE, stdout=subprocess.PIPE, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


class Laps:
    """CPU seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def lap(self, phase: str) -> Iterator[None]:
        """Add what happens inside to `phase`."""
        started = time.process_time()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.process_time() - started

    def wrap[**P, R](self, phase: str, work: Callable[P, R]) -> Callable[P, R]:
        """`work`, adding what it takes to `phase`."""

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.lap(phase):
                return work(*args, **kwargs)

        return timed


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers get thousands separators, floats below 100 two decimals."""
    lines = [head, ["---"] * len(head), *[[_cell(value) for value in row] for row in rows]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def machine() -> str:
    """What the figures below were taken on."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{platform.platform()}, {os.cpu_count()} cores, CPython {platform.python_version()}, load {load}."


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
