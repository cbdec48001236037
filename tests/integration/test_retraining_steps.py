"""The small steps of a run, on real pointers, tables and objects; bus and state machine only listen."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np
import pytest

from common.errors import InvalidInputError, ModelRefusedError
from common.telemetry import metrics
from monitor.labelled import Labelled, observe_labels
from monitor.requests import Reason
from monitor.retrain import answer, is_on
from monitor.runs import Runs, Turn
from monitor.steps import Parts
from monitor.store import Store
from monitor.tally import Who
from monitor.times import HOUR_S, WINDOW_S, floor, iso
from monitor.windows import CHALLENGER as CHALLENGER_KEY
from monitor.windows import Item
from scoring import bundle as bundles
from scoring import pointer_moves
from scoring.bundle import Bundle
from scoring.objects import object_reader
from scoring.pointers import CHALLENGER, CHAMPION, NOTHING, Version, bundle_key
from streamscore.room_client import RoomClient
from tests import quiet_days
from tests.integration import test_retraining_turns
from tests.integration.test_retraining_turns import States

runs = test_retraining_turns.runs
NOW_S = 1_790_000_000
OLD, NEW = Version("0" * 16, "0" * 64), Version("1" * 16, "1" * 64)


@dataclass
class Bus:
    """Remembers what it was told."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def tell(self, kind: str, detail: dict[str, Any], at_s: float) -> bool:
        self.told.append((kind, detail))
        return True


@pytest.fixture
def parts(client: Callable[[str], Any], runs: Runs) -> Parts:
    name = f"steps-{uuid.uuid4().hex[:8]}"
    client("s3").create_bucket(Bucket=name)
    dynamodb, s3, ssm = (RoomClient(client(service)) for service in ("dynamodb", "s3", "ssm"))
    prefix = f"/streamscore/{name}"

    def write(key: str, data: bytes) -> None:
        s3.put_object(Bucket=name, Key=key, Body=data)

    store = Store(runs._table, name, prefix, (dynamodb, s3, ssm))
    reader = object_reader(s3, name)
    metrics().clear_metrics()
    return Parts(store, runs, States(), Bus(), ssm, prefix, reader, write, "automatic", lambda: False)


def do(parts: Parts, step: str, now_s: float = NOW_S, **given: Any) -> dict[str, Any]:
    return answer(parts, {"step": step, "run": "r-1", **given}, now_s)


def counted(name: str) -> float:
    return sum(metrics().metric_set.get(name, {}).get("Value", []))


def test_a_run_begins_with_all_reasons_that_wait_and_beginning_again_takes_no_other(parts: Parts) -> None:
    for n, kind in enumerate(("object", "alarm")):
        parts.runs.add(
            Reason(str(n), kind, f"because {n}", "raw-data/a.csv" if kind == "object" else ""), NOW_S
        )
    plan = do(parts, "begin")
    assert (plan["reasons"], plan["objects"], plan["only_objects"]) == (2, 1, False)
    assert plan["why"] == "because 0; because 1"
    assert do(parts, "begin") == plan
    written = json.loads(parts.read("retrain/r-1/request.json"))
    assert (written["objects"], written["champion"]) == (["raw-data/a.csv"], "")


def test_what_a_job_measured_of_files_becomes_metrics(parts: Parts) -> None:
    files = [{"rows": 100, "quality": 0.9}, {"rows": 50, "quality": 0.1}]
    found = {"files": files, "accepted": 1, "drift": 0.3, "teaches": True, "text": "fine"}
    parts.write("retrain/r-1/CheckData.json", json.dumps(found).encode())
    assert do(parts, "found", of="CheckData") == {n: v for n, v in found.items() if n != "files"}
    assert counted("ProcessedRows") == 150
    assert metrics().metric_set["DataQualityScore"]["Value"] == [0.9, 0.1]
    assert metrics().metric_set["FeatureDrift"]["Value"] == [0.3]


def test_a_new_model_goes_into_shadow_and_is_promoted_with_the_reason_why(parts: Parts) -> None:
    pointer_moves.promote(parts.ssm, parts.prefix, OLD, "first", ())
    about = {"version": NEW.version, "sha256": NEW.sha256, "why": "new data"}
    do(parts, "shadow", looks=3, **about)
    assert pointer_moves.read(parts.ssm, parts.prefix, CHALLENGER).current == NEW
    seen = do(parts, "promote", champion=OLD.version, looks=3, **about)
    champion = pointer_moves.read(parts.ssm, parts.prefix, CHAMPION)
    assert (champion.current, champion.previous, champion.reason) == (NEW, OLD, "r-1: new data")
    assert pointer_moves.read(parts.ssm, parts.prefix, CHALLENGER).current == NOTHING
    assert do(parts, "promote", champion=OLD.version, looks=3, **about) == seen, "asked again"


def test_a_champion_that_somebody_moved_meanwhile_is_not_replaced(parts: Parts) -> None:
    pointer_moves.promote(parts.ssm, parts.prefix, OLD, "first", ())
    with pytest.raises(ModelRefusedError, match="was compared with"):
        do(parts, "promote", version=NEW.version, sha256=NEW.sha256, why="", champion="2" * 16, looks=1)
    assert pointer_moves.read(parts.ssm, parts.prefix).current == OLD


def test_a_rollback_goes_back_once_and_not_over_somebody_elses_move(parts: Parts) -> None:
    for version in (OLD, NEW):
        pointer_moves.promote(parts.ssm, parts.prefix, version, "", ())
    assert do(parts, "roll_back", version=NEW.version, why="worse") == {"champion": OLD.version}
    assert do(parts, "roll_back", version=NEW.version, why="worse") == {"champion": OLD.version}
    pointer = pointer_moves.read(parts.ssm, parts.prefix)
    assert (pointer.current, pointer.back, pointer.reason) == (OLD, True, "r-1: worse")


def test_the_first_champion_has_nothing_to_go_back_to(parts: Parts) -> None:
    pointer_moves.promote(parts.ssm, parts.prefix, NEW, "", ())
    assert do(parts, "roll_back", version=NEW.version, why="worse") == {"champion": NEW.version}


def test_shadow_is_over_with_the_looks(parts: Parts) -> None:
    about = {"version": NEW.version, "since": iso(NOW_S)}
    first = do(parts, "look_at_shadow", looks=2, **about)
    assert (first["looks"], first["done"]) == (1, False)
    assert do(parts, "look_at_shadow", looks=1, **about)["done"]


def test_probation_ends_with_the_looks_or_when_somebody_moves_the_pointer(parts: Parts) -> None:
    new = Version(registered(parts).version, "0" * 64)
    pointer_moves.promote(parts.ssm, parts.prefix, new, "", ())
    about = {"version": new.version, "since": iso(floor(NOW_S, WINDOW_S))}
    assert not do(parts, "look_at_champion", looks=2, **about)["done"], "its first window is not over"
    assert do(parts, "look_at_champion", looks=1, **about)["done"]
    pointer_moves.promote(parts.ssm, parts.prefix, OLD, "", ())
    seen = do(parts, "look_at_champion", looks=9, **about)
    assert (seen["done"], seen["regressed"], seen["why"]) == (True, False, "somebody moved the pointer")


def test_a_run_that_ends_is_written_down_told_and_gives_its_turn_to_who_waits(parts: Parts) -> None:
    parts.runs.pass_on(Turn(), Turn("r-1", NOW_S, 0))
    parts.runs.add(Reason("a" * 16, "alarm", "drift"), NOW_S)
    pointer_moves.point(parts.ssm, parts.prefix, NEW, "", CHALLENGER)
    ended = do(parts, "end", outcome="refused", text="it ranks worse", version=NEW.version)
    assert json.loads(parts.read("retrain/r-1/outcome.json"))["outcome"] == "refused"
    assert [kind for kind, _ in parts.bus.told] == ["RetrainingEnded"]
    assert pointer_moves.read(parts.ssm, parts.prefix, CHALLENGER).current == NOTHING
    assert parts.runs.turn().run == ended["next"] != ""
    assert parts.runs.turn().starts_s == NOW_S + 6 * 3_600, "the policy's cool-down"
    assert counted("ModelsRefused") == 1
    again = do(parts, "end", outcome="refused", text="it ranks worse", version=NEW.version)
    assert "next" not in again, "the turn is another's by now"


def test_while_the_alarm_is_on_each_run_is_followed_by_one_after_its_cool_down(parts: Parts) -> None:
    parts = parts._replace(is_advised=lambda: True)
    parts.runs.pass_on(Turn(), Turn("r-1", NOW_S, 0))
    following = do(parts, "end", outcome="refused", text="labels too young", version="")["next"]
    assert parts.runs.turn() == Turn(following, NOW_S + 6 * 3_600, NOW_S + 6 * 3_600)
    assert [one.text for one in parts.runs.waiting()] == ["the alarm was still on after r-1"]
    assert "next" not in do(parts, "end", outcome="refused", text="", version=""), "said twice, counts once"


def test_an_alarm_is_asked_whether_itis_on(client: Callable[[str], Any]) -> None:
    cloudwatch, name = client("cloudwatch"), f"steps-{uuid.uuid4().hex[:8]}"
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace=name, MetricName="RetrainingAdvised", Statistic="Maximum", Period=300,
        EvaluationPeriods=1, Threshold=0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    asked = [is_on(RoomClient(cloudwatch), name)]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    asked += [is_on(RoomClient(cloudwatch), one) for one in (name, "", f"{name}-other")]
    assert asked == [False, True, False, False]


def test_data_that_was_rejected_needs_no_cool_down(parts: Parts) -> None:
    parts.runs.pass_on(Turn(), Turn("r-1", NOW_S, 0))
    do(parts, "end", outcome="data_rejected", text="", version="")
    assert parts.runs.turn() == Turn()


def test_a_person_is_asked_and_the_token_kept(parts: Parts, client: Callable[[str], Any]) -> None:
    do(parts, "ask_a_person", version=NEW.version, token="t" * 700)
    key = {"pk": {"S": "retraining"}, "sk": {"S": "token#r-1"}}
    kept = client("dynamodb").get_item(TableName=parts.runs._table, Key=key)["Item"]
    assert kept["token"] == {"S": "t" * 700}
    [(kind, detail)] = parts.bus.told
    assert kind == "RetrainingWaits"
    assert "retrain approve r-1" in detail["text"]


def test_a_step_that_does_not_exist_is_refused(parts: Parts) -> None:
    with pytest.raises(InvalidInputError, match="step 'dance'"):
        do(parts, "dance")


def registered(parts: Parts) -> Bundle:
    """The bundle of the quiet days, as one that a spec was published for."""
    quiet = quiet_days.trained()
    features = tuple(msgspec.structs.replace(feature, definition="0" * 16) for feature in quiet.features)
    bundle = bundles.seal(msgspec.structs.replace(quiet, features=features, spec_sha256="0" * 64))
    parts.write(bundle_key(bundle.version), bundles.encode(bundle))
    return bundle


@pytest.mark.parametrize(("frauds", "regressed"), [(0.01, False), (0.3, True)])
def test_a_new_champion_is_held_to_its_own_baseline_by_the_windows_since_its_promotion(
    parts: Parts, frauds: float, regressed: bool
) -> None:
    bundle, random = registered(parts), np.random.default_rng(3)
    pointer_moves.promote(parts.ssm, parts.prefix, OLD, "", ())
    pointer_moves.promote(parts.ssm, parts.prefix, Version(bundle.version, "0" * 64), "", ())
    noon_s = quiet_days.MONDAY_S + 12 * HOUR_S
    starts = range(noon_s, noon_s + 6 * WINDOW_S, WINDOW_S)
    windows = [
        quiet_days.counted(bundle, start_s, quiet_days.payments(start_s, 900, random, frauds=frauds))
        for start_s in starts
    ]
    parts.store.write([Item(w.who, f"{w.start}#shard#1", w.tally) for w in windows], noon_s)
    about = {"version": bundle.version, "since": iso(noon_s), "looks": 9}
    seen = do(parts, "look_at_champion", now_s=starts.stop + 60, **about)
    assert (seen["decided"], seen["regressed"], seen["done"]) == (5_400, regressed, regressed)
    assert seen["why"].startswith("prediction_rate from") == regressed


def test_an_alarms_reason_names_what_changed(parts: Parts) -> None:
    bundle, random = registered(parts), np.random.default_rng(3)
    pointer_moves.promote(parts.ssm, parts.prefix, Version(bundle.version, "0" * 64), "", ())
    start_s = quiet_days.MONDAY_S + 12 * HOUR_S
    window = quiet_days.counted(bundle, start_s, quiet_days.payments(start_s, 4_000, random, frauds=0.3))
    parts.store.write([Item(window.who, f"{window.start}#shard#1", window.tally)], start_s)
    message = {
        "AlarmName": "Advised",
        "NewStateValue": "ALARM",
        "Trigger": {"MetricName": "RetrainingAdvised"},
    }
    sns = {"Sns": {"MessageId": "m-1", "Message": json.dumps(message)}}
    answer(parts, {"Records": [sns]}, start_s + 600)
    answer(parts, {"Records": [sns | {"Sns": sns["Sns"] | {"MessageId": "m-2"}}]}, start_s + 9_000)
    told = sorted(one.text for one in parts.runs.waiting())
    assert told[0] == "alarm Advised", "hours later nothing is known"
    assert told[1].startswith("alarm Advised: ")
    assert re.search(r"score prediction_rate 2\d\.\d, from 0\.01\d* to 0\.(29|30)", told[1])


def test_shadow_is_over_once_enough_labels_came_for_what_it_scored(parts: Parts) -> None:
    bundle, random = registered(parts), np.random.default_rng(3)
    start_s = quiet_days.MONDAY_S
    window = quiet_days.counted(bundle, start_s, quiet_days.payments(start_s, 1_200, random))
    scores = Labelled(np.arange(1_200) % 50 == 0, np.full(1_200, 0.2), ["approve"] * 1_200, np.zeros(1_200))
    labelled = {"2026-09-07": observe_labels(scores)}
    shadow = replace(window.tally, labels=labelled)
    about = {"version": bundle.version, "since": iso(start_s), "looks": 9}
    for who, scored in ((Who(bundle.version), 0), (Who(bundle.version, challenger=True), 1_200)):
        key = f"{window.start}#shard#1{CHALLENGER_KEY if who.challenger else ''}"
        parts.store.write([Item(who, key, shadow)], start_s)
        seen = do(parts, "look_at_shadow", now_s=start_s + 900, **about)
        assert (seen["scored"], seen["labelled"], seen["done"]) == (scored, scored, scored > 0)
