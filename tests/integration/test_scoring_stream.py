"""The stream's way to decisions: once an event, whatever is repeated, reordered or broken."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.errors import InvalidInputError
from scoring import pointers as pointer_values
from scoring.pointers import Pointer, bundle_key, model_key
from scoring.reasons import explain
from tests import small_model
from tests.integration.scoring_stack import (
    ScoringStack,
    deliver,
    fresh_stack,
    label,
    record,
    row,
)

HIGH, LOW = 900.0, 1.0


stack = fresh_stack


def test_a_row_becomes_the_decision_its_score_and_the_policy_say(stack: ScoringStack, tmp_path: Path) -> None:
    version = stack.promote(tmp_path / "bundle")
    before_ms = time.time_ns() // 1_000_000
    assert deliver(stack.wired(), record(1, [row("a", HIGH), row("b", LOW, shop=None)])) == []
    high, low = stack.items()
    scores = small_model.model().scores(np.array([[HIGH, 2, 5, 30], [LOW, 2, 5, 30]], np.float32))
    assert (float(high["score"]["N"]), float(low["score"]["N"])) == tuple(scores)
    assert (high["decision"], low["decision"]) == ({"S": "block"}, {"S": "approve"})
    assert high["model"] == {"S": version}
    assert high["kept"] == {"M": {"amount": {"N": "900.00"}, "shop": {"S": "books"}}}
    assert low["kept"] == {"M": {"amount": {"N": "1.00"}}}
    assert np.frombuffer(high["features"]["B"], "<f4").tolist() == [HIGH, 2, 5, 30]
    assert before_ms <= int(high["scored_at"]["N"])
    assert int(high["latency_ms"]["N"]) == int(high["scored_at"]["N"]) - int(high["arrival"]["N"])
    assert {n: high[n] for n in ("source", "trace", "entity")} == {
        "source": {"S": "stream"}, "trace": {"S": "00-trace"}, "entity": {"S": "c1"}
    }  # fmt: skip
    assert "reasons" not in low


def test_reasons_come_with_what_is_flagged_and_are_those_of_occlusion(
    stack: ScoringStack, tmp_path: Path
) -> None:
    stack.promote(tmp_path / "bundle")
    deliver(stack.wired(), record(1, [row("b", LOW), row("a", HIGH)]))
    model = small_model.model()
    names = [feature.name for feature in model.bundle.features]
    (expected,) = explain(model.scores, names, model.medians(), np.array([[HIGH, 2, 5, 30]], np.float32))
    stored = stack.items()[0]["reasons"]["L"]
    assert [reason["M"]["feature"]["S"] for reason in stored] == [reason.feature for reason in expected]
    assert float(stored[0]["M"]["value"]["N"]) == HIGH
    assert stored[0]["M"]["text"]["S"].startswith("amount is 900, usually ")


def test_reviews_and_blocks_reach_the_bus_and_approvals_do_not(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    deliver(stack.wired(), record(1, [row("a", HIGH), row("b", LOW)]))
    (event,) = stack.published()
    assert (event["source"], event["detail-type"]) == ("streamscore", "DecisionBlocked")
    detail = event["detail"]
    assert (detail["id"], detail["decision"], detail["kept"]["amount"]) == ("a", "block", 900.0)
    assert "features" not in detail
    assert detail["reasons"][0]["feature"] == "amount"


def test_a_batch_of_hundreds_is_published_ten_a_call(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    deliver(stack.wired(), record(1, [row(f"e{n:03}", HIGH) for n in range(57)]))
    assert [event["detail"]["id"] for event in stack.published()] == [f"e{n:03}" for n in range(57)]


def test_before_the_first_promotion_the_fallback_decides(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row("a", HIGH), row("b", 6000.0)]))
    plain, huge = stack.items()
    assert (plain["decision"], plain["reasons"]) == ({"S": "approve"}, {"L": [{"S": "no_model"}]})
    assert "score" not in plain
    assert "model" not in plain
    assert (huge["decision"], huge["rules"]) == ({"S": "review"}, {"L": [{"S": "huge"}]})


def test_a_replay_changes_nothing_and_publishes_the_same_again(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    batch = record(1, [row("a", HIGH), row("b", LOW)])
    deliver(stack.wired(), batch)
    items, published = stack.items(), stack.published()
    stack.promote(tmp_path / "other", seed=1)
    deliver(stack.wired(), batch)
    assert stack.items() == items
    (again,) = stack.published()
    assert json.dumps(again["detail"]) == json.dumps(published[0]["detail"])


def test_an_id_twice_in_one_batch_is_decided_once(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row("a", 1.0)]), record(2, [row("a", 2.0), row("b")]))
    assert [(i["pk"]["S"], i["kept"]["M"]["amount"]["N"]) for i in stack.items()] == [
        ("a", "1.00"), ("b", "10.00")
    ]  # fmt: skip


def test_a_label_after_its_decision_is_written_onto_it(stack: ScoringStack) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a")]))
    before = stack.items()[0]
    deliver(wiring, record(2, labels=[label("a")]))
    assert stack.items() == [before | {"label": {"BOOL": True}, "label_time": {"N": "1790000000000"}}]


def test_a_label_before_its_decision_waits_for_it_as_a_stub(stack: ScoringStack) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, labels=[label("a")]))
    (stub,) = stack.items()
    assert "scored_at" not in stub
    assert stub["entity"] == {"S": "c1"}
    deliver(wiring, record(2, [row("a")]))
    (whole,) = stack.items()
    assert whole["label"] == {"BOOL": True}
    assert whole["reasons"] == {"L": [{"S": "no_model"}]}


def test_a_decision_and_its_label_in_one_batch_are_one_write(stack: ScoringStack) -> None:
    deliver(stack.wired(), record(1, [row("a")]), record(2, labels=[label("a")]))
    (item,) = stack.items()
    assert item["label"] == {"BOOL": True}
    assert "scored_at" in item


def test_only_a_later_label_corrects_an_earlier_one(stack: ScoringStack) -> None:
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a")]), record(2, labels=[label("a", True, 2000)]))
    deliver(wiring, record(3, labels=[label("a", False, 1000)]))
    assert stack.items()[0]["label"] == {"BOOL": True}
    deliver(wiring, record(4, labels=[label("a", False, 2000)]))
    assert stack.items()[0]["label"] == {"BOOL": True}
    deliver(wiring, record(5, labels=[label("a", False, 3000)]))
    assert stack.items()[0]["label"] == {"BOOL": False}


def test_a_replayed_batch_of_decisions_and_labels_changes_nothing(stack: ScoringStack) -> None:
    batch = [record(1, [row("a"), row("b")]), record(2, labels=[label("a"), label("z")])]
    wiring = stack.wired()
    deliver(wiring, *batch)
    items = stack.items()
    assert deliver(wiring, *batch) == []
    assert stack.items() == items


def test_a_decision_made_on_the_other_path_stands_and_gets_our_score_beside_it(
    stack: ScoringStack, tmp_path: Path
) -> None:
    stack.promote(tmp_path / "bundle")
    deliver(stack.wired(), record(1, [row("a", HIGH)]))
    stack.client("dynamodb").update_item(
        TableName=stack.settings.decisions_table,
        Key={"pk": {"S": "a"}},
        UpdateExpression="SET #s = :s, decision = :d, score = :n",
        ExpressionAttributeNames={"#s": "source"},
        ExpressionAttributeValues={":s": {"S": "api"}, ":d": {"S": "approve"}, ":n": {"N": "0.01"}},
    )
    deliver(stack.wired(), record(1, [row("a", HIGH)]))
    (item,) = stack.items()
    assert (item["decision"], item["score"]) == ({"S": "approve"}, {"N": "0.01"})
    assert float(item["second_path_score"]["N"]) > 0.5


def test_a_spec_without_the_models_features_falls_back_and_blocks_nothing(
    stack: ScoringStack, tmp_path: Path
) -> None:
    stack.promote(tmp_path / "bundle")
    published_sha = _publish_spec(
        stack, small_model.SPEC.replace('windows = ["1d", "7d"]', 'windows = ["1d"]')
    )
    narrow = row("a")
    narrow = type(narrow)(*[getattr(narrow, n) for n in narrow.__struct_fields__[:-1]], narrow.vector[:12])
    deliver(
        stack.wired(),
        record(1, [narrow], spec_sha=published_sha),
        record(2, [row("b")], spec_sha="0" * 64),
        record(3, [row("c")]),
    )
    a, b, c = stack.items()
    assert a["reasons"] == b["reasons"] == {"L": [{"S": "features_missing"}]}
    assert a["kept"]["M"]["amount"] == {"N": "10.00"}
    assert "kept" not in b
    assert "score" in c


def _publish_spec(stack: ScoringStack, text: str) -> str:
    from stream_features import spec as specs

    spec = specs.parse(text)
    stack.client("s3").put_object(
        Bucket=stack.settings.data_bucket, Key=f"specs/{spec.sha256}.json", Body=specs.to_json(spec)
    )
    return spec.sha256


def test_a_promotion_is_followed_without_a_restart(stack: ScoringStack, tmp_path: Path) -> None:
    first = stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a")]))
    second = stack.promote(tmp_path / "other", seed=1)
    wiring.serving.expire()
    deliver(wiring, record(2, [row("b")]))
    assert [item["model"]["S"] for item in stack.items()] == [first, second]


def break_wrong_hash(stack: ScoringStack, version: str) -> None:
    name = f"{stack.settings.pointer_prefix}/champion"
    pointer = pointer_values.decode(stack.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    wrong = Pointer(version=pointer.version, sha256="0" * 64, previous=pointer.previous)
    stack.client("ssm").put_parameter(
        Name=name, Value=pointer_values.encode(wrong), Type="String", Overwrite=True
    )


def break_truncated_model(stack: ScoringStack, version: str) -> None:
    s3, bucket = stack.client("s3"), stack.settings.data_bucket
    whole = s3.get_object(Bucket=bucket, Key=model_key(version))["Body"].read()
    s3.put_object(Bucket=bucket, Key=model_key(version), Body=whole[: len(whole) // 2])


def break_missing_bundle(stack: ScoringStack, version: str) -> None:
    stack.client("s3").delete_object(Bucket=stack.settings.data_bucket, Key=bundle_key(version))


def break_pointer_is_no_json(stack: ScoringStack, version: str) -> None:
    stack.client("ssm").put_parameter(
        Name=f"{stack.settings.pointer_prefix}/champion", Value="latest", Type="String", Overwrite=True
    )


DAMAGES = [break_wrong_hash, break_truncated_model, break_missing_bundle, break_pointer_is_no_json]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_model_is_refused_and_the_running_one_stays(
    stack: ScoringStack, tmp_path: Path, damage: Callable[[ScoringStack, str], None]
) -> None:
    first = stack.promote(tmp_path / "bundle")
    wiring = stack.wired()
    deliver(wiring, record(1, [row("a")]))
    damage(stack, stack.promote(tmp_path / "other", seed=1))
    wiring.serving.expire()
    deliver(wiring, record(2, [row("b")]))
    assert [item["model"]["S"] for item in stack.items()] == [first, first]


@pytest.mark.parametrize("damage", DAMAGES[:3])
def test_a_cold_start_on_a_bad_champion_takes_the_one_before(
    stack: ScoringStack, tmp_path: Path, damage: Callable[[ScoringStack, str], None]
) -> None:
    first = stack.promote(tmp_path / "bundle")
    damage(stack, stack.promote(tmp_path / "other", seed=1))
    deliver(stack.wired(), record(1, [row("a")]))
    assert stack.items()[0]["model"]["S"] == first


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cold_start_with_no_good_model_falls_back(
    stack: ScoringStack, tmp_path: Path, damage: Callable[[ScoringStack, str], None]
) -> None:
    damage(stack, stack.promote(tmp_path / "bundle"))
    deliver(stack.wired(), record(1, [row("a")]))
    assert stack.items()[0]["reasons"] == {"L": [{"S": "model_unavailable"}]}


def test_an_out_of_an_unknown_version_is_no_partial_failure_but_an_error(stack: ScoringStack) -> None:
    broken = record(1, [row("a")])
    broken["dynamodb"]["NewImage"]["out"]["B"] = "kwk="
    with pytest.raises(InvalidInputError):
        deliver(stack.wired(), broken)


def test_records_without_rows_and_empty_batches_do_nothing(stack: ScoringStack) -> None:
    assert deliver(stack.wired()) == []
    removed = {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "1"}}
    assert deliver(stack.wired(), removed, record(2)) == []
    assert stack.items() == []
