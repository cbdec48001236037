"""A small demo the way a user runs it: a command in a process of its own, in an empty folder."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import psutil
import pytest

from streamscore.local import stack as stacks
from streamscore.local.folder import DAEMON
from tests import least_privilege, left_behind, xray_daemon
from tests.exercised import BROKEN, CANARIES, exercise
from tests.integration.commands import invoke
from tests.reported import data_of

STREAMSCORE = Path(sys.executable).with_name("streamscore")
LIVE = 1700
OPTIONS = ["--live", str(LIVE), "--customers", "10", "--history-days", "100", "--rate", "1000", "--json"]
"""Two months of few customers: labels mature while events flow."""

pytestmark = pytest.mark.e2e


def start_demo(folder: Path, *more: str, environ: Mapping[str, str] = os.environ) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(STREAMSCORE), "demo", *OPTIONS, *more],
        cwd=folder,
        env=environ,
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


@pytest.mark.parametrize(
    ("step", "number"), [("Bring up the stack", signal.SIGINT), ("Start the mappings", signal.SIGTERM)]
)
def test_an_interrupted_demo_leaves_no_process(tmp_path: Path, step: str, number: signal.Signals) -> None:
    with start_demo(tmp_path) as demo:
        wait_for_step(demo, step)
        assert processes_of(tmp_path)
        demo.send_signal(number)
        _, err = demo.communicate(timeout=60)

    assert demo.returncode == 130, err
    assert err.splitlines()[-1] == "streamscore: interrupted"
    assert processes_of(tmp_path) == []


class Kept(NamedTuple):
    """A demo's stack that goes on, what the demo found, and an X-Ray daemon that its functions know."""

    folder: Path
    summary: dict[str, Any]
    daemon: xray_daemon.Daemon

    def streamscore(self, *arguments: str) -> str:
        """A command's output."""
        done = subprocess.run(
            [str(STREAMSCORE), *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo that was killed while its stack was up."""
    folder = tmp_path_factory.mktemp("kept")
    with start_demo(folder) as demo:
        wait_for_step(demo, "Start the mappings")
        demo.kill()
    return folder


@pytest.fixture(scope="module")
def kept(killed: Path, wait_until: Callable[..., None]) -> Iterator[Kept]:
    """The next demo in that folder."""
    folder = killed
    wait_until(lambda: not processes_of(folder), "the killed demo's processes have ended")
    with xray_daemon.listening() as daemon:
        demo = start_demo(folder, "--keep", environ=os.environ | {DAEMON: daemon.address})
        made = Kept(folder, finished(demo), daemon)
        try:
            yield made
        finally:
            made.streamscore("local", "down")
    assert processes_of(folder) == []


def test_a_killed_demo_takes_its_stack_along_and_the_next_one_holds_every_check(kept: Kept) -> None:
    summary = kept.summary
    assert [(check["name"], check["held"]) for check in summary["checks"]] == [
        ("every event decided exactly once", True),
        ("state equal to a backfill's", True),
        ("served vectors bit-equal to backfilled ones", True),
        ("challenger without labels refused by the gate", True),
        ("challenger tried on all that was decided", True),
        ("challenger promoted, and why is kept", True),
        ("models swapped while events flow", True),
        ("challenger in shadow equal to its backtest", True),
    ]
    assert summary["events"]["live"] == sum(summary["decisions"].values()) == LIVE
    assert summary["performance"]["labelled"] == LIVE
    life = summary["life"]
    assert life["by_champion"] + life["by_challenger"] == LIVE
    assert min(life["by_challenger"], life["shadowed"]) > 0
    assert {check["name"]: check["held"] for check in life["gate"]}["coverage"]
    assert life["backtest"]["labels"] >= 1000
    assert life["backtest"]["positives"] > 0
    assert summary["latency"]["p50_ms"] > 0
    assert summary["cost"]["usd_per_million_decisions"] > 0
    assert summary["drift"][0]["name"] == "score"
    assert {parity["different"] for parity in summary["parity"]} == {0}
    page = (kept.folder / ".local/demo/report.html").read_text()
    assert "served vectors bit-equal to backfilled ones" in page


def report_and_cost(kept: Kept) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both of one moment, whatever run of the schedule is metered meanwhile."""
    for _ in range(5):
        before = json.loads(kept.streamscore("cost", "--json"))
        report = json.loads(kept.streamscore("report", "-o", "page.html", "--json"))
        if json.loads(kept.streamscore("cost", "--json"))["by_component_usd"] == before["by_component_usd"]:
            return report, before
    raise AssertionError("the cost never stood still")


def test_a_kept_stack_answers_commands_and_repeated_events_change_nothing(kept: Kept) -> None:
    events = ".local/demo/events.parquet"
    sent = json.loads(kept.streamscore("put", events, "--json", "--since", last_day(kept.folder / events)))
    stacks.load(kept.folder).drain()
    parity = json.loads(kept.streamscore("parity", events, "--json"))
    report, cost = report_and_cost(kept)
    drift = json.loads(kept.streamscore("drift", "--json"))

    assert sent["events"] > 0
    assert parity["held"]
    assert parity["compared"] == parity["equal"] == LIVE
    page = (kept.folder / "page.html").read_text()
    assert data_of(page) == report
    assert sum(one["approve"] for one in report["traffic"]["bins"]) == kept.summary["decisions"]["approve"]
    assert {one["count"] for one in report["agree"][:4]} == {LIVE}
    compared, verdict = drift["champion"]["whole"]["comparison"], drift["champion"]["verdict"]
    assert compared == report["drift"]["champion"]["whole"]["comparison"]
    assert told(verdict) == told(report["drift"]["champion"]["verdict"])
    for row in (compared["score"], *compared["features"]):
        assert f">{row['psi']:.3f}<" in page
    assert {name: cost[name] for name in report["cost"]} == report["cost"]
    for usd in (cost["total_usd"], *cost["by_component_usd"].values()):
        assert f">{usd:,.8f}<" in page


@pytest.fixture(scope="module")
def asked_of(kept: Kept) -> Kept:
    """The kept stack after everything was asked of it; its daemon has heard of that and nothing else."""
    kept.daemon.skip()
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    exercise(stacks.load(kept.folder), kept.folder, now, kept.streamscore)
    return kept


def test_a_function_may_do_what_it_did_and_nothing_else(asked_of: Kept) -> None:
    stack = stacks.load(asked_of.folder)
    ids = least_privilege.physical_ids(stack.client("cloudformation"), stack.name)
    granted = least_privilege.grants(
        stack.name, ids, least_privilege.roles().keys() - least_privilege.RETRAINING
    )
    made = least_privilege.calls(stack.state_dir / "emulator/calls.jsonl")
    assert least_privilege.not_granted(granted, made) == set()
    unused = least_privilege.unused(granted, made)
    assert {grant for grant in unused if not least_privilege.is_for_others(grant)} == set(), (
        "granted for nothing"
    )
    assert {call.caller for call in made} == {grant.function for grant in granted}


def test_no_entitys_value_and_no_amount_is_told_outside_the_quarantine(asked_of: Kept) -> None:
    stack = stacks.load(asked_of.folder)
    traces = asked_of.daemon.received()
    assert traces
    found = {
        (place, canary)
        for place, text in left_behind.told(stack, traces)
        for canary in CANARIES
        if canary.encode() in text
    }
    assert found == set()
    kept_aside = [body for key, body in left_behind.objects(stack) if key.startswith(left_behind.QUARANTINE)]
    refused = [json.loads(line) for body in kept_aside for line in body.splitlines()]
    assert len(refused) == BROKEN
    assert all(b"canary" in base64.b64decode(line["payload"]) for line in refused)


def test_a_file_of_ids_and_labels_corrects_a_label_once(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(invoke(*arguments, "--json").stdout)
        return found

    monkeypatch.chdir(kept.folder)
    id_ = pl.read_parquet(".local/demo/events.parquet")["transaction_id"][-1]
    told = said("decision", id_)["label"]
    Path("labels.csv").write_text(f"transaction_id,is_fraud\n{id_},{not told}\n")
    assert said("label", "labels.csv") == {"labels": 1, "known": 0}
    stacks.load(kept.folder).drain()
    assert said("decision", id_)["label"] is not told
    assert said("label", "labels.csv") == {"labels": 0, "known": 1}


def told(verdict: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What was found, apart from when exactly it was looked at."""
    return [(verdict["judged"],), *((f["name"], f["kind"], f["value"]) for f in verdict["findings"])]


def last_day(events: Path) -> str:
    """The midnight at which the last day of the events begins."""
    last = pl.read_parquet(events)["event_time"][-1]
    return f"{last[:10]}T00:00:00"
