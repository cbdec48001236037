"""Every way through statemachines/retrain.asl.yaml, in the emulator's Step Functions; what its tasks do is
played here: the real ones are tested apart, and together in test_retraining.py.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from streamscore.local import emulator as emulators
from streamscore.local.function_process import Outcome
from streamscore.local.hub import Hub
from streamscore.retraining import following
from tests.conftest import client_of
from tests.unit.transformed_template import ROOT

TEXT = (ROOT / "statemachines/retrain.asl.yaml").read_text(encoding="utf-8")
MODEL = {"version": "1f2e", "sha256": "0" * 64, "held": True, "text": "1f2e: better"}
PLAN = {
    "why": "new data", "reasons": 1, "objects": 1, "only_objects": True, "champion": "0a1b",
    "approval": "automatic", "options": ["--train", "7d"],
    "shadow": {"looks": 2, "every_s": 1}, "probation": {"looks": 2, "every_s": 1},
}  # fmt: skip
STEPS: dict[str, Any] = {
    "begin": PLAN,
    "CheckData": {"accepted": 1, "teaches": True, "text": "quality 0.9"},
    "AssembleTrainingSet": {"sound": True, "text": "6,000 events"},
    "Evaluate": MODEL,
    "Compare": {"held": True, "text": "1f2e: no worse"},
    "shadow": {"since": "2026-11-24T16:00:00Z", "looks": 2},
    "look_at_shadow": {"since": "2026-11-24T16:00:00Z", "looks": 0, "done": True},
    "ask_a_person": {},
    "promote": {"since": "2026-11-24T16:05:00Z", "looks": 2},
    "look_at_champion": {"since": "", "looks": 0, "regressed": False, "done": True, "why": ""},
    "roll_back": {"champion": "0a1b"},
    "end": {"ended": True},
}


@dataclass
class Place:
    """A stack, as far as commands look at it here."""

    outputs: dict[str, str]
    client: Callable[[str], Any]


@dataclass
class Tasks:
    """Plays the function and the jobs: by what `answers` has, or what it raises; remembers what was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def invoke(self, name: str, payload: bytes, request_id: str) -> Outcome:
        event = json.loads(payload)
        self.asked.append(event)
        found = self.answers.get(event.get("of") or event["step"])
        found = (STEPS | self.answers)[event.get("of") or event["step"]] if found is None else found
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            told = {"errorMessage": str(found), "errorType": type(found).__name__}
            return Outcome(json.dumps(told).encode(), failed=True)
        return Outcome(json.dumps(found).encode(), failed=False)

    def job(self, request: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append(request)
        arguments = request["arguments"]
        name = (arguments.get("TrainingJobName") or arguments["ProcessingJobName"]).rpartition("-")[2]
        found = self.answers.get(f"job {name}", {"output": {}})
        if found == "blocks":
            self.release.wait(30)
            return {"output": {}}
        return dict(found)

    def did(self) -> list[str]:
        """The steps and jobs that were asked for, those of the function in order."""
        return [event.get("of") or event["step"] for event in self.asked]

    @property
    def end(self) -> dict[str, Any]:
        """What the last step was told."""
        [told] = [event for event in self.asked if event["step"] == "end"]
        return told


@dataclass
class Machine:
    """The state machine, and what plays its tasks."""

    client: Callable[[str], Any]
    hub: Hub
    role: str = "arn:aws:iam::000000000000:role/x"

    def start(self, tasks: Tasks, **times: int) -> str:
        """An execution whose tasks `tasks` plays; `times` are other TimeoutSeconds of states."""
        self.hub.invoke, self.hub.commands["job"] = tasks.invoke, tasks.job
        text = TEXT
        for name, value in {"Function": self.function, "Subnets": "", "Spot": "false"}.items():
            text = text.replace(f"${{{name}}}", value)
        definition = yaml.safe_load(text)
        for state, seconds in times.items():
            definition["States"][state]["TimeoutSeconds"] = seconds
        states = self.client("stepfunctions")
        made = states.create_state_machine(
            name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=self.role
        )
        begun = states.start_execution(
            stateMachineArn=made["stateMachineArn"],
            name="r-1",
            input=json.dumps({"starts": "2026-01-01T00:00:00Z"}),
        )
        return str(begun["executionArn"])

    def wait(self, execution: str, until: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Its description, once that is so."""
        states, deadline = self.client("stepfunctions"), time.monotonic() + 60
        pause = threading.Event()
        while not until(found := states.describe_execution(executionArn=execution)):
            assert time.monotonic() < deadline, found
            pause.wait(0.05)
        return dict(found)

    def run(self, tasks: Tasks, **times: int) -> dict[str, Any]:
        """How the execution ended."""
        return self.wait(self.start(tasks, **times), lambda found: found["status"] != "RUNNING")

    @property
    def function(self) -> str:
        arn: str = self.client("lambda").get_function(FunctionName="tasks")["Configuration"]["FunctionArn"]
        return arn


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    hub = Hub()
    running = emulators.start(tmp_path_factory.mktemp("machine"), jobs=f"{hub.url}/job")
    clients = {s: client_of(running.endpoint, s) for s in ("lambda", "stepfunctions")}
    clients["lambda"].create_function(
        FunctionName="tasks",
        Runtime="python3.13",
        Role=Machine.role,
        Handler="x.y",
        Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18},
        Environment={"Variables": {"MINISTACK_LAMBDA_PROXY_URL": f"{hub.url}/invoke"}},
    )
    yield Machine(clients.__getitem__, hub)
    running.stop()
    hub.close()


def test_a_better_model_goes_all_the_way(machine: Machine) -> None:
    tasks = Tasks()
    ended = machine.run(tasks)
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"ended": True})
    assert tasks.did() == [
        "begin", "CheckData", "AssembleTrainingSet", "Evaluate", "shadow", "look_at_shadow", "Compare",
        "promote", "look_at_champion", "end",
    ]  # fmt: skip
    assert (tasks.end["outcome"], tasks.end["version"]) == ("promoted", "1f2e")
    names = [
        job["arguments"].get("ProcessingJobName") or job["arguments"]["TrainingJobName"] for job in tasks.jobs
    ]
    assert names == [
        f"r-1-{name}" for name in ("CheckData", "AssembleTrainingSet", "Train", "Evaluate", "Compare")
    ]
    train = tasks.jobs[2]["arguments"]
    assert train["AlgorithmSpecification"]["ContainerArguments"][-2:] == ["--train", "7d"]
    assert train["EnableManagedSpotTraining"] is False


@pytest.mark.parametrize(
    ("answers", "outcome", "last"),
    [
        ({"begin": PLAN | {"reasons": 0}}, "nothing_new", "begin"),
        ({"CheckData": {"accepted": 0, "teaches": False, "text": "bad"}}, "data_rejected", "CheckData"),
        ({"CheckData": {"accepted": 1, "teaches": False, "text": "as ever"}}, "nothing_new", "CheckData"),
        ({"AssembleTrainingSet": {"sound": False, "text": "too few"}}, "refused", "AssembleTrainingSet"),
        ({"Evaluate": MODEL | {"held": False, "text": "worse"}}, "refused", "Evaluate"),
        ({"Compare": {"held": False, "text": "worse"}}, "refused", "Compare"),
    ],
)
def test_what_does_not_hold_ends_the_run_there_and_nothing_is_promoted(
    machine: Machine, answers: dict[str, Any], outcome: str, last: str
) -> None:
    tasks = Tasks(answers)
    assert machine.run(tasks)["status"] == "SUCCEEDED"
    assert tasks.did()[-2:] == [last, "end"]
    assert tasks.end["outcome"] == outcome
    assert "promote" not in tasks.did()


def test_with_another_reason_older_data_teach_although_the_file_is_bad(machine: Machine) -> None:
    bad = {"accepted": 0, "teaches": False, "text": "bad"}
    tasks = Tasks({"begin": PLAN | {"only_objects": False}, "CheckData": bad})
    machine.run(tasks)
    assert tasks.end["outcome"] == "promoted"


def test_the_first_champion_is_promoted_without_a_shadow(machine: Machine) -> None:
    tasks = Tasks({"begin": PLAN | {"champion": "", "objects": 0, "only_objects": False}})
    machine.run(tasks)
    assert tasks.did() == ["begin", "AssembleTrainingSet", "Evaluate", "promote", "look_at_champion", "end"]


def test_shadow_and_probation_look_until_they_are_over(machine: Machine) -> None:
    going = {"since": "", "looks": 1, "done": False, "regressed": False, "why": ""}
    tasks = Tasks(
        {
            "look_at_shadow": [going, going, STEPS["look_at_shadow"]],
            "look_at_champion": [going, STEPS["look_at_champion"]],
        }
    )
    machine.run(tasks)
    assert tasks.did().count("look_at_shadow") == 3
    assert tasks.did().count("look_at_champion") == 2
    assert tasks.end["outcome"] == "promoted"


def test_a_regression_in_probation_is_rolled_back(machine: Machine) -> None:
    worse = {
        "since": "",
        "looks": 1,
        "done": True,
        "regressed": True,
        "why": "prediction_rate from 0.01 to 0.3",
    }
    tasks = Tasks({"look_at_champion": worse})
    assert machine.run(tasks)["status"] == "SUCCEEDED"
    assert tasks.did()[-2:] == ["roll_back", "end"]
    assert tasks.end["outcome"] == "rolled_back"
    assert "prediction_rate from 0.01 to 0.3" in tasks.end["text"]


def test_a_training_that_fails_fails_the_run_with_where_and_why(machine: Machine) -> None:
    cause = json.dumps({"TrainingJobStatus": "Failed", "FailureReason": "the train window holds 0 rows"})
    tasks = Tasks({"job Train": {"error": "States.TaskFailed", "cause": cause}})
    ended = machine.run(tasks)
    assert (ended["status"], ended["error"]) == ("FAILED", "RetrainingFailed")
    for told in (ended["cause"], tasks.end["text"]):
        assert told.startswith("Train: States.TaskFailed: ")
        assert "the train window holds 0 rows" in told
    assert tasks.end["outcome"] == "failed"


def test_a_job_that_takes_too_long_fails_the_run(machine: Machine) -> None:
    tasks = Tasks({"job Train": "blocks"})
    ended = machine.run(tasks, Train=1)
    tasks.release.set()
    assert ended["status"] == "FAILED"
    assert ended["cause"].startswith("Train: States.Timeout")


def test_a_bug_in_a_step_fails_the_run_and_is_not_tried_again(machine: Machine) -> None:
    tasks = Tasks({"shadow": ZeroDivisionError("division by zero")})
    ended = machine.run(tasks)
    assert ended["cause"].startswith("Shadow: ZeroDivisionError")
    assert tasks.did().count("shadow") == 1
    assert tasks.end["outcome"] == "failed"


def test_what_can_help_to_try_again_is_tried_again(machine: Machine) -> None:
    lost = type("TransientError", (Exception,), {})("throttled")
    tasks = Tasks({"shadow": [lost, lost, STEPS["shadow"]]})
    assert machine.run(tasks)["status"] == "SUCCEEDED"
    assert tasks.did().count("shadow") == 3
    assert tasks.end["outcome"] == "promoted"


def test_a_champion_that_somebody_moved_ends_the_run_in_peace(machine: Machine) -> None:
    moved = type("ModelRefusedError", (Exception,), {})("the champion is 77 by now")
    tasks = Tasks({"promote": moved})
    assert machine.run(tasks)["status"] == "SUCCEEDED"
    assert tasks.end["outcome"] == "refused"
    assert "the champion is 77 by now" in tasks.end["text"]


def test_an_end_that_cannot_be_written_fails_the_run(machine: Machine) -> None:
    ended = machine.run(Tasks({"end": ZeroDivisionError("division by zero")}))
    assert ended["status"] == "FAILED"


@pytest.mark.parametrize("approved", [True, False])
def test_a_person_has_the_last_word(machine: Machine, approved: bool) -> None:
    tasks = Tasks({"begin": PLAN | {"approval": "manual"}})
    execution = machine.start(tasks)
    machine.wait(execution, lambda _: "ask_a_person" in tasks.did())
    [asked] = [event for event in tasks.asked if event["step"] == "ask_a_person"]
    assert "promote" not in tasks.did()
    arn, _, run = execution.replace(":execution:", ":stateMachine:").rpartition(":")
    told = following.now(Place({"RetrainMachineArn": arn}, machine.client), run)
    assert told == ("AskAPerson", "waits for a person: `streamscore retrain approve r-1`, or `refuse`")
    states = machine.client("stepfunctions")
    if approved:
        states.send_task_success(taskToken=asked["token"], output="{}")
    else:
        states.send_task_failure(taskToken=asked["token"], error="Refused", cause="campaign data")
    assert machine.wait(execution, lambda found: found["status"] != "RUNNING")["status"] == "SUCCEEDED"
    assert ("promote" in tasks.did()) == approved
    assert tasks.end["outcome"] == ("promoted" if approved else "refused")
    assert approved or "campaign data" in tasks.end["text"]


def test_a_person_who_does_not_answer_has_said_no(machine: Machine) -> None:
    tasks = Tasks({"begin": PLAN | {"approval": "manual"}})
    assert machine.run(tasks, AskAPerson=1)["status"] == "SUCCEEDED"
    assert tasks.end["outcome"] == "refused"
    assert "States.Timeout" in tasks.end["text"]
