"""A small demo the way a user runs it: a command in a process of its own, in an empty folder."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from streamscore.local import stack as stacks
from tests.reported import data_of

STREAMSCORE = Path(sys.executable).with_name("streamscore")
SMALL = ["--live", "300", "--customers", "150", "--history-days", "42", "--rate", "1000", "--json"]
"""Over in a day: no label of its events is known in time for the gate."""
LONG = ["--live", "1700", "--customers", "10", "--history-days", "100", "--rate", "1000", "--json"]
"""Two months of few customers: labels mature while events flow."""

pytestmark = pytest.mark.e2e


def start_demo(folder: Path, options: list[str], *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(STREAMSCORE), "demo", *options, *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Commands of all living processes that work in the folder or name it."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if str(folder) in command or Path(process.cwd()).is_relative_to(folder):
                found.append(command)
        except psutil.Error:
            continue
    return found


def wait_for_step(demo: "subprocess.Popen[str]", name: str) -> None:
    assert demo.stderr is not None
    for line in demo.stderr:
        if line.startswith(name):
            return
    pytest.fail(f"the demo ended before it said {name!r}")


def finished(demo: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = demo.communicate(timeout=280)
    assert demo.returncode == 0, f"{err}\n{out}"
    summary: dict[str, Any] = json.loads(out)
    return summary


def test_a_killed_demo_takes_its_stack_along_and_the_next_one_holds_every_check(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    with start_demo(tmp_path, SMALL) as demo:
        wait_for_step(demo, "Start the mappings")
        demo.kill()
    wait_until(lambda: not processes_of(tmp_path), "the killed demo's processes have ended")

    summary = finished(start_demo(tmp_path, LONG))

    assert [(check["name"], check["held"]) for check in summary["checks"]] == [
        ("every event decided exactly once", True),
        ("state equal to a backfill's", True),
        ("served vectors bit-equal to backfilled ones", True),
        ("challenger without labels refused by the gate", True),
        ("challenger tried on all that was decided", True),
        ("challenger promoted, and why is kept", True),
        ("models swapped while events flow", True),
        ("challenger in shadow equal to its backtest", True),
        ("no process left", True),
    ]
    assert summary["events"]["live"] == sum(summary["decisions"].values()) == 1700
    assert summary["performance"]["labelled"] == 1700
    life = summary["life"]
    assert life["by_champion"] + life["by_challenger"] == 1700
    assert min(life["by_challenger"], life["shadowed"]) > 0
    assert {check["name"]: check["held"] for check in life["gate"]}["coverage"]
    assert life["backtest"]["labels"] >= 1000
    assert life["backtest"]["positives"] > 0
    assert summary["latency"]["p50_ms"] > 0
    assert summary["cost"]["usd_per_million_decisions"] > 0
    assert summary["drift"][0]["name"] == "score"
    assert {parity["different"] for parity in summary["parity"]} == {0}
    page = (tmp_path / ".local/demo/report.html").read_text()
    assert "served vectors bit-equal to backfilled ones" in page
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("step", "number"), [("Bring up the stack", signal.SIGINT), ("Start the mappings", signal.SIGTERM)]
)
def test_an_interrupted_demo_leaves_no_process(tmp_path: Path, step: str, number: signal.Signals) -> None:
    with start_demo(tmp_path, SMALL) as demo:
        wait_for_step(demo, step)
        assert processes_of(tmp_path)
        demo.send_signal(number)
        _, err = demo.communicate(timeout=60)

    assert demo.returncode == 130, err
    assert err.splitlines()[-1] == "streamscore: interrupted"
    assert processes_of(tmp_path) == []


def test_a_kept_stack_answers_commands_and_repeated_events_change_nothing(tmp_path: Path) -> None:
    def streamscore(*arguments: str) -> str:
        done = subprocess.run(
            [str(STREAMSCORE), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    summary = finished(start_demo(tmp_path, SMALL, "--keep"))
    try:
        events = ".local/demo/events.parquet"
        sent = json.loads(streamscore("put", events, "--json", "--since", last_day(tmp_path / events)))
        stacks.load(tmp_path).drain()
        parity = json.loads(streamscore("parity", events, "--json"))
        report = json.loads(streamscore("report", "-o", "page.html", "--json"))
        drift, cost = (json.loads(streamscore(command, "--json")) for command in ("drift", "cost"))
    finally:
        streamscore("local", "down")

    assert summary["life"]["forced"] == ["coverage"]
    assert "before labels enough are known" in summary["life"]["reason"]
    assert sent["events"] > 0
    assert parity["held"]
    assert parity["compared"] == parity["equal"] == 300
    page = (tmp_path / "page.html").read_text()
    assert data_of(page) == report
    assert sum(one["approve"] for one in report["traffic"]["bins"]) == summary["decisions"]["approve"]
    assert {one["count"] for one in report["agree"][:4]} == {300}
    compared, verdict = drift["champion"]["whole"]["comparison"], drift["champion"]["verdict"]
    assert compared == report["drift"]["champion"]["whole"]["comparison"]
    assert told(verdict) == told(report["drift"]["champion"]["verdict"])
    for row in (compared["score"], *compared["features"]):
        assert f">{row['psi']:.3f}<" in page
    assert {name: cost[name] for name in report["cost"]} == report["cost"]
    for usd in (cost["total_usd"], *cost["by_component_usd"].values()):
        assert f">{usd:,.8f}<" in page
    assert processes_of(tmp_path) == []


def told(verdict: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What was found, apart from when exactly it was looked at."""
    return [(verdict["judged"],), *((f["name"], f["kind"], f["value"]) for f in verdict["findings"])]


def last_day(events: Path) -> str:
    """The midnight at which the last day of the events begins."""
    last = pl.read_parquet(events)["event_time"][-1]
    return f"{last[:10]}T00:00:00"
