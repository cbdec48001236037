"""A file under raw-data/ of the whole stack: a better model is promoted, and taken back when it goes wrong; a
wrong file changes nothing. An alarm starts a run too.

The rule, the function, the state machine and the jobs are those of the template; only waiting is shorter.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from common.settings import code_root
from monitor.times import WINDOW_S, floor, iso
from scoring.items import Decision, to_item
from scoring.model import Model
from scoring.pointers import ALL, CHALLENGER, NOTHING
from scoring.policy import Verdict
from stream_features import spec as specs
from stream_features.spec import Spec
from streamscore.local.stack import Stack
from streamscore.report.lineage import lineage
from streamscore.retraining import following
from streamscore.retraining.following import Ended, Step
from streamscore.training import bundles, pointers
from streamscore.training.backfill import Backfilled, backfill
from streamscore.training.labelled import Table
from streamscore.training.split import DAY_MS, Windows
from streamscore.training.train import Recipe, fit
from tests import least_privilege
from tests.conftest import poll_until
from tests.decision_images import batch, change, decision
from tests.integration.alarmed import call, names
from tests.integration.commands import invoke

DAYS, ROWS, DECIDED = 40, 6_000, 300
END_MS = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS - 8 * DAY_MS
"""Labels take seven days: all are known by now."""
POLICY = """
[gate]
matured_labels = 150
[retrain]
drift = 0
settle = "0s"
cool_down = "0s"
shadow = "0s"
probation = "10h"
options = ["--train", "21d"]
"""


def events(seed: int, prefix: str) -> pl.DataFrame:
    """Payments of forty days; the larger, the likelier fraud."""
    random = np.random.default_rng(seed)
    amount = random.gamma(2.0, 50.0, ROWS).round(2)
    fraud = random.random(ROWS) < 1 / (1 + np.exp(-(amount / 25 - 11)))
    at = END_MS - DAYS * DAY_MS + np.sort(random.integers(0, DAYS * DAY_MS, ROWS))
    return pl.DataFrame(
        {
            "transaction_id": [f"{prefix}{n}" for n in range(ROWS)],
            "event_time": pl.Series(at).cast(pl.Datetime("ms", "UTC")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
            "customer_id": [f"C{n}" for n in random.integers(0, 60, ROWS)],
            "terminal_id": [f"T{n}" for n in random.integers(0, 80, ROWS)],
            "amount": amount,
            "is_fraud": fraud.astype(int),
        }
    )


@dataclass
class World:
    """A stack with a poor champion that decided, and how its runs went."""

    stack: Stack
    champion: str
    client: Callable[[str], Any]

    def run_of(self, trigger: Callable[[], object]) -> str:
        """The run that comes of it."""
        before = set(self.runs())
        trigger()
        poll_until(lambda: set(self.runs()) - before, "a run begins", within_s=60)
        [run] = set(self.runs()) - before
        return run

    def drop(self, path: Path) -> str:
        """Put a file under raw-data/, and do nothing else: the run that came of it."""
        bucket, key = self.stack.outputs["DataBucketName"], f"raw-data/{path.name}"
        return self.run_of(
            lambda: self.client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        )

    def follow(self, run: str) -> tuple[Ended, list[Step]]:
        """Its end, and its steps."""
        steps = list[Step]()
        return following.follow(self.stack, run, steps.append), steps

    def runs(self) -> list[str]:
        """Their names."""
        arn = self.stack.outputs["RetrainMachineArn"]
        return [
            one["name"]
            for one in self.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
        ]

    def read(self, key: str) -> Any:
        """An object of the bucket as JSON; {} if there is none."""
        data = bundles.fetch(self.client("s3"), self.stack.outputs["DataBucketName"], key)
        return json.loads(data) if data else {}

    def current(self, name: str = "champion") -> str:
        """What a pointer names."""
        pointer = pointers.read(self.client("ssm"), self.stack.outputs["PointerPrefix"], name)
        return pointer.version if pointer else ""


@pytest.fixture(scope="module")
def world(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("retraining")
    patch = pytest.MonkeyPatch()
    patch.chdir(stack.state_dir.parent)
    end_other_runs(stack)
    (folder / "policy.toml").write_text(POLICY)
    assert invoke("policy", "publish", folder / "policy.toml").exit_code == 0
    events(1, "good-").write_csv(folder / "good.csv")
    spec = specs.parse((code_root({}) / "features.toml").read_text())
    whole = backfill(spec, folder / "good.csv")
    poor = poor_champion(spec, whole, folder / "poor")
    assert invoke("promote", folder / "poor").exit_code == 0
    decide(stack, spec, whole, poor)
    yield World(stack, poor.version, cache(stack.client))
    stack.client("ssm").delete_parameters(Names=[f"{stack.outputs['PointerPrefix']}/{name}" for name in ALL])
    patch.undo()


def end_other_runs(stack: Stack) -> None:
    """What other tests of the session drifted may have started a run, or left a cool-down, or an alarm on."""
    states, arn = stack.client("stepfunctions"), stack.outputs["RetrainMachineArn"]
    for one in states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]:
        states.stop_execution(executionArn=one["executionArn"])
    [alarm] = names(stack, "RetrainingAdvisedAlarm")
    stack.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="a test")
    lock = {"pk": {"S": "retraining"}, "sk": {"S": "lock"}}
    stack.client("dynamodb").delete_item(TableName=stack.outputs["MonitorTableName"], Key=lock)


def poor_champion(spec: Spec, whole: Backfilled, folder: Path) -> Model:
    """A model that learned labels that mean nothing, of the first twenty days."""
    early = whole.time_ms < END_MS - 20 * DAY_MS
    labels = np.random.default_rng(0).permutation(whole.labels.cast(pl.Boolean).to_numpy()[early])
    table = Table(whole.time_ms[early], whole.features[early], labels)
    made = fit(table, spec, Recipe(Windows(10 * DAY_MS, 1, 5 * DAY_MS)))
    bundles.write(made.bundle, made.model, folder)
    return Model(made.bundle, made.model)


def decide(stack: Stack, spec: Spec, whole: Backfilled, champion: Model) -> None:
    """The champion decided the last two weeks, and the labels came."""
    late = np.flatnonzero(whole.time_ms >= END_MS - 14 * DAY_MS)[::7][:DECIDED]
    scores, labels = champion.scores(whole.features[late]), whole.labels.cast(pl.Boolean).to_list()
    requests, db = [], stack.client("dynamodb")
    for n, score in zip(late.tolist(), scores.tolist(), strict=True):
        at_ms = int(whole.time_ms[n])
        decision = Decision(
            whole.ids[n], whole.entities[0][n], at_ms, at_ms, time.time_ns() // 1_000_000, score,
            Verdict("approve", ()), (), "", champion.version, "0" * 16, spec.sha256,
            whole.features[n].astype("<f4").tobytes(), {"amount": {"N": "1.00"}}, None, "stream",
            {"terminal": whole.entities[1][n]},
        )  # fmt: skip
        known = {"label": {"BOOL": labels[n]}, "label_time": {"N": str(at_ms + 7 * DAY_MS)}}
        requests.append({"PutRequest": {"Item": to_item(decision) | known}})
    for start in range(0, len(requests), 25):
        batch = {stack.outputs["DecisionsTableName"]: requests[start : start + 25]}
        db.batch_write_item(RequestItems=batch)


def all_flagged(stack: Stack, version: str) -> None:
    """A window in which the model that decides flags everything, as its functions count it."""
    start_s = floor(time.time(), WINDOW_S)
    records = [
        change(
            decision(f"wrong-{n}", score=0.99, decision="block", model=version, scored_at_ms=start_s * 1000),
            sequence=n,
        )
        for n in range(600)
    ]
    state = call(stack, "MonitorWindows", batch(records, start=iso(start_s)))["state"]
    call(stack, "MonitorWindows", batch([], state, start=iso(start_s), final=True))


def test_a_dropped_file_leads_to_a_better_champion_that_is_taken_back_when_it_goes_wrong(
    world: World, tmp_path: Path
) -> None:
    events(1, "good-").write_csv(tmp_path / "good.csv")
    run = world.drop(tmp_path / "good.csv")
    poll_until(lambda: world.current() != world.champion, "a promotion", within_s=180)
    better, ssm, prefix = world.current(), world.client("ssm"), world.stack.outputs["PointerPrefix"]
    poll_until(lambda: world.current(CHALLENGER) == NOTHING.version, "it left the shadow")
    [move, *_] = pointers.history(ssm, prefix)
    assert move.reason == f"{run}: new data: raw-data/good.csv"
    found = world.read(f"retrain/{run}/AssembleTrainingSet.json")
    assert found["overlap"] == found["served"] == DECIDED
    assert (found["agreement"], found["label_agreement"]) == (1.0, 1.0)
    assert world.read("checked-data/good.csv/report.json")["quality"] > 0.9
    told = lineage(world.stack, {better: 7})
    assert told.moves[0].why == move.reason
    assert "raw-data/good.csv" in dict(told.steps)["data"]
    assert dict(told.steps)["model"].startswith(f"{better}: sklearn.ensemble.RandomForestClassifier")
    assert dict(told.steps)["decisions"] == "7 in this time"

    all_flagged(world.stack, better)
    ended, steps = world.follow(run)
    assert (ended.outcome, ended.model) == ("rolled_back", better), (ended, steps)
    waits = {"WaitInShadow", "LookAtShadow", "WaitInProbation", "LookAtChampion"}
    assert [step.name for step in steps if step.name not in waits] == [
        "Settle", "Begin", "CheckData", "AssembleTrainingSet", "Train", "Evaluate", "Shadow", "Compare",
        "Promote", "RollBack", "End", "Done",
    ]  # fmt: skip
    assert "quality" in steps[2].note
    [back, *_] = pointers.history(ssm, prefix)
    assert (back.version, back.back) == (world.champion, True)
    assert back.reason.startswith(f"{run}: prediction_rate from ")
    alarm = names(world.stack, "ModelRolledBackAlarm")
    described = world.client("cloudwatch").describe_alarms
    poll_until(
        lambda: [one["StateValue"] for one in described(AlarmNames=alarm)["MetricAlarms"]] == ["ALARM"],
        "the alarm on rollbacks goes off",
    )
    pointers.point(ssm, prefix, move.current, "a test: it was right")


def test_a_file_whose_labels_were_shuffled_changes_nothing_and_it_is_said_why(
    world: World, tmp_path: Path
) -> None:
    champion, shuffled = world.current(), events(2, "bad-")
    shuffled = shuffled.with_columns(shuffled["is_fraud"].shuffle(seed=0))
    shuffled.write_csv(tmp_path / "shuffled.csv")
    ended, _ = world.follow(world.drop(tmp_path / "shuffled.csv"))
    assert ended.outcome == "data_rejected", ended
    assert "labels fit 0.00" in ended.text
    assert world.current() == champion
    report = world.read("checked-data/shuffled.csv/report.json")
    assert (report["accepted"], report["quality"]) == (False, 0.0)
    key = {"Bucket": world.stack.outputs["DataBucketName"], "Prefix": "checked-data/shuffled.csv/cleaned"}
    assert world.client("s3").list_objects_v2(**key)["KeyCount"] == 0


def test_a_person_sees_how_runs_went_and_can_answer_only_one_that_waits(world: World) -> None:
    told = {one["run"]: one["outcome"] for one in json.loads(invoke("retrain", "runs", "--json").stdout)}
    assert set(told.values()) >= {"rolled_back", "data_rejected"}
    [over] = [run for run, outcome in told.items() if outcome == "rolled_back"]
    shown = invoke("retrain", "watch", over)
    assert shown.exit_code == 1
    assert "AssembleTrainingSet" in shown.stderr
    assert shown.stdout.startswith("rolled_back: rolled back to ")
    for answer in (("approve", over), ("refuse", over, "--reason", "no")):
        assert "no such run waits for a person" in str(invoke("retrain", *answer).exception)
    for name in ("r-none", "no name of a run"):
        assert "no such run" in str(invoke("retrain", "watch", name).exception)


def test_the_alarm_that_advises_it_starts_a_run_by_way_of_the_topic(world: World) -> None:
    end_other_runs(world.stack)
    nearly_over = datetime.now(UTC) - timedelta(seconds=280)  # the alarm looks at five minutes
    advised = {
        "Timestamp": nearly_over,
        "MetricName": "RetrainingAdvised",
        "Dimensions": [{"Name": "service", "Value": "monitor_schedule"}, {"Name": "stage", "Value": "dev"}],
        "Value": 1.0,
    }
    cloudwatch = world.client("cloudwatch")
    run = world.run_of(lambda: cloudwatch.put_metric_data(Namespace="streamscore", MetricData=[advised]))
    poll_until(lambda: world.read(f"retrain/{run}/request.json"), "it begins")
    [reason] = world.read(f"retrain/{run}/request.json")["reasons"]
    assert (reason["kind"], "RetrainingAdvisedAlarm" in reason["text"]) == ("alarm", True)
    again = invoke("retrain", "--reason", "and I want it")
    assert again.stdout == f"{run}\n"
    assert "one runs at a time" in again.stderr
    [now, *_] = json.loads(invoke("retrain", "runs", "--json").stdout)
    assert (now["run"], now["status"], now["text"] != "") == (run, "RUNNING", True)
    end_other_runs(world.stack)


def test_retraining_may_do_what_it_did_and_nothing_else(world: World) -> None:
    """The function and the jobs, in all that the tests above made them do."""
    ids = least_privilege.physical_ids(world.client("cloudformation"), world.stack.name)
    granted = least_privilege.grants(world.stack.name, ids, least_privilege.RETRAINING)
    trail = least_privilege.calls(world.stack.state_dir / "emulator/calls.jsonl")
    made = {call for call in trail if call.caller in least_privilege.RETRAINING}
    assert least_privilege.not_granted(granted, made) == set()
    unused = least_privilege.unused(granted, made)
    assert {grant for grant in unused if not least_privilege.is_for_others(grant)} == set(), (
        "granted for nothing"
    )
