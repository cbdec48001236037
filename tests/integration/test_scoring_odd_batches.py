"""Whatever a batch holds, its other rows are decided, and what cannot be decided is not lost."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from common.aws import Backoff
from common.errors import InvalidInputError, NoAnswerError
from common.pricing import item_bytes
from scoring import bundle as bundle_values
from scoring.bus import BYTES_PER_CALL
from scoring.pointers import CHALLENGER, POLICY, Version, policy_key
from scoring.reasons import MOST_CHARACTERS
from scoring.wiring import Wiring
from stream_features import spec as specs
from stream_features.spec import Spec
from stream_features.state import Row
from streamscore.training import bundles, pointers
from tests import small_model
from tests.integration.scoring_faults import (
    HUGE,
    NO_TIME_MS,
    PLAIN,
    Between,
    Clock,
    between_tables,
    dead_bus,
    throttle,
)
from tests.integration.scoring_stack import ScoringStack, deliver, fresh_stack, record, row

MISSING = float("nan")
BROKEN = "kwk="  # MessagePack of another shape
FIELDS = 500
LONG = 9e14  # told with fifteen digits


stack = fresh_stack


def unreadable(sequence: int) -> dict[str, Any]:
    broken = record(sequence, [row("never")])
    broken["dynamodb"]["NewImage"]["out"]["B"] = BROKEN
    return broken


def wide_spec() -> Spec:
    """The small spec, with five hundred more fields that travel to the decision, and a reason as long as the
    spec allows, which tells the value again and again.
    """
    names = [f"field_{n:03}" for n in range(FIELDS)]
    reason = f'of = "amount"\nreason = "{"{value}" * 28}"'
    text = small_model.SPEC.replace('of = "amount"', reason, 1)
    text = text.replace('"shop"]', '"shop", ' + ", ".join(f'"{n}"' for n in names) + "]")
    return specs.parse(
        text.replace('shop = "string?"', 'shop = "string?", ' + ", ".join(f'{n} = "string"' for n in names))
    )


def wide_row(id_: str, amount: float, character: str = "x") -> Row:
    """One whose kept fields are as long as a stream's record may be."""
    long = (character * 1000,) * FIELDS
    return msgspec.structs.replace(row(id_, amount), kept=(round(amount * 100), None, *long))


def published_spec(stack: ScoringStack, spec: Spec, body: bytes | None = None) -> str:
    key = f"specs/{spec.sha256}.json"
    body = specs.to_json(spec) if body is None else body
    stack.client("s3").put_object(Bucket=stack.settings.data_bucket, Key=key, Body=body)
    return spec.sha256


def promote_one_without_missing_values(stack: ScoringStack, folder: Path) -> str:
    """A logistic regression as a graph: NaN in, NaN out."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.array([[0.01], [0], [0], [0.001]], np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["s"]), helper.make_node("Sigmoid", ["s"], ["p"])]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, [weights])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    thresholds = bundle_values.Thresholds(review=0.7, block=0.99999)
    plain = msgspec.structs.replace(
        small_model.bundle(), model_sha256=bundle_values.sha256(model), thresholds=thresholds
    )
    bundles.write(bundle_values.seal(plain), model, folder)
    version = bundles.register(stack.client("s3"), stack.settings.data_bucket, folder)
    pointers.point(stack.client("ssm"), stack.settings.pointer_prefix, version, "test")
    return version.version


def shown(stack: ScoringStack) -> dict[str, tuple[str, Any]]:
    """Of each decision, what it is, and the reason if the fallback decided."""
    return {
        item["pk"]["S"]: (item["decision"]["S"], item.get("reasons", {"L": [{}]})["L"][0].get("S"))
        for item in stack.items()
    }


def test_a_record_that_cannot_be_read_surfaces_once_all_others_are_done(stack: ScoringStack) -> None:
    batch = [record(1, [row("a")]), unreadable(2), record(3, [row("c", HUGE)])]
    with pytest.raises(InvalidInputError, match="record 2: out: not readable"):
        deliver(stack.wired(), *batch)
    assert list(shown(stack)) == ["a", "c"]
    assert [event["detail"]["id"] for event in stack.published()] == ["c"]


def test_a_vector_of_another_length_than_its_specs_is_an_error_and_shifts_no_other(
    stack: ScoringStack,
) -> None:
    short = msgspec.structs.replace(row("a"), vector=row("a").vector[:-4])
    long = msgspec.structs.replace(row("b"), vector=row("b").vector + bytes(4))
    with pytest.raises(InvalidInputError, match="a vector is not one of spec"):
        deliver(stack.wired(), record(1, [short, long]))
    assert stack.items() == []


def test_a_spec_that_is_not_what_its_name_says_is_unknown(stack: ScoringStack, tmp_path: Path) -> None:
    stack.promote(tmp_path / "bundle")
    other = published_spec(stack, wide_spec(), specs.to_json(small_model.spec()))
    garbage = published_spec(stack, specs.parse(small_model.SPEC.replace("7d", "6d")), b"<html>")
    batch = [record(1, [row("a")], spec_sha=other), record(2, [row("b")], spec_sha=garbage)]
    assert deliver(stack.wired(), *batch, record(3, [row("c")])) == []
    assert shown(stack) == {
        "a": ("approve", "features_missing"), "b": ("approve", "features_missing"), "c": ("approve", None)
    }  # fmt: skip


def test_while_a_spec_cannot_be_read_its_rows_wait_and_all_others_do_not(stack: ScoringStack) -> None:
    sha = published_spec(stack, wide_spec())
    wiring, reads = stack.wired(), 0

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        nonlocal reads
        reads += 1
        if reads < 4:
            raise NoAnswerError("s3")
        return send(**request)

    wiring.specs._s3 = Between(wiring.specs._s3, change)
    wiring.specs._backoff = Backoff(sleep=lambda _: None)
    batch = [record(1, [row("a")]), record(2, [wide_row("b", PLAIN)], spec_sha=sha), record(3, [row("c")])]
    assert deliver(wiring, *batch) == ["2"]
    assert list(shown(stack)) == ["a", "c"]
    assert reads == 4, "the time left was used to read it: the next delivery comes at once"
    assert deliver(wiring, *batch[1:]) == []
    assert list(shown(stack)) == ["a", "b", "c"]


def test_where_the_model_gives_no_number_the_fallback_decides(stack: ScoringStack, tmp_path: Path) -> None:
    version = promote_one_without_missing_values(stack, tmp_path / "bundle")
    batch = record(1, [row("a", mean=MISSING), row("b"), row("c", HUGE, mean=MISSING), row("d", 500.0)])
    assert deliver(stack.wired(), batch) == []
    assert shown(stack) == {
        "a": ("approve", "score_missing"), "b": ("approve", None),
        "c": ("review", "score_missing"), "d": ("review", None),
    }  # fmt: skip
    assert ["score" in item for item in stack.items()] == [False, True, False, True]
    assert {item["model"]["S"] for item in stack.items()} == {version}
    assert [event["detail"]["id"] for event in stack.published()] == ["c", "d"]


def test_a_row_as_large_as_can_be_is_decided_stored_and_told(stack: ScoringStack) -> None:
    sha = published_spec(stack, wide_spec())
    batch = [record(n, [wide_row(f"e{n}", HUGE, "\x01")], spec_sha=sha) for n in range(3)]
    assert deliver(stack.wired(), *batch, record(9, [row("z", HUGE)])) == []
    *wide, plain = stack.items()
    assert all(item_bytes(item) < 200_000 for item in wide)
    assert all(item["cut"] == {"L": [{"S": "kept"}]} for item in wide)
    assert 100 < len(wide[0]["kept"]["M"]) < FIELDS
    assert "cut" not in plain
    events = [event["detail"] for event in stack.published()]
    assert [event["id"] for event in events] == ["e0", "e1", "e2", "z"]
    assert all(len(msgspec.json.encode(event)) < BYTES_PER_CALL for event in events)
    assert ["kept" in event["cut"] for event in events[:3]] == [True] * 3


def test_a_decision_carries_challenger_propensity_and_the_other_entities(
    stack: ScoringStack, tmp_path: Path
) -> None:
    stack.promote(tmp_path / "bundle")
    made = small_model.trained(1)
    bundles.write(made.bundle, made.model, tmp_path / "other")
    other = bundles.register(stack.client("s3"), stack.settings.data_bucket, tmp_path / "other")
    pointers.point(stack.client("ssm"), stack.settings.pointer_prefix, other, "test", CHALLENGER)
    publish_policy(stack, "control_share = 0.5\n")
    rows = [row(f"e{n}", 900.0) for n in range(20)]
    deliver(stack.wired(), record(1, rows))
    items = stack.items()
    score = small_model.model(1).scores(np.array([[900.0, 2, 5, 30]], np.float32))[0]
    told = {"model": {"S": other.version}, "score": {"N": repr(float(score))}}
    assert all(item["challenger"] == {"M": told | {"decision": item["decision"]}} for item in items)
    assert all(item["entities"] == {"M": {"terminal": {"S": "t1"}}} for item in items)
    assert {item["propensity"]["N"] for item in items} == {"0.5"}
    assert {item["decision"]["S"] for item in items} == {"approve", "block"}
    decided = [item["decision"] for item in items]
    deliver(stack.wired(), record(1, rows))
    assert [item["decision"] for item in stack.items()] == decided


def publish_policy(stack: ScoringStack, text: str) -> None:
    version = Version(bundle_values.sha256(text.encode())[:16], bundle_values.sha256(text.encode()))
    key = policy_key(version.version)
    stack.client("s3").put_object(Bucket=stack.settings.data_bucket, Key=key, Body=text.encode())
    pointers.point(stack.client("ssm"), stack.settings.pointer_prefix, version, "test", POLICY)


def worked_off(wiring: Wiring, records: list[dict[str, Any]]) -> list[str]:
    """Deliver as Lambda does, bisecting on errors; the sequence numbers that were given up."""
    sequences = [one["dynamodb"]["SequenceNumber"] for one in records]
    try:
        again = deliver(wiring, *records, remaining_ms=NO_TIME_MS)
    except InvalidInputError:
        if len(records) == 1:
            return sequences
        half = len(records) // 2
        return worked_off(wiring, records[:half]) + worked_off(wiring, records[half:])
    return worked_off(wiring, records[sequences.index(again[0]) :]) if again else []


def test_a_batch_of_all_that_can_go_wrong_loses_nothing_and_blocks_nothing(
    stack: ScoringStack, tmp_path: Path
) -> None:
    promote_one_without_missing_values(stack, tmp_path / "bundle")
    wide, unknown = published_spec(stack, wide_spec()), "0" * 64
    batch = [
        record(1, [row("plain"), row("nan", mean=MISSING)]),
        unreadable(2),
        record(3, [row("unknown")], spec_sha=unknown),
        record(4, [wide_row("wide", LONG)], spec_sha=wide),
        record(5, [row("throttled", HUGE)]),
        record(6, [row("last", HUGE)]),
    ]
    wiring = stack.wired()
    clock, alive = Clock(wiring.publisher), wiring.bus._events
    dead_bus(wiring)
    once, throttled = 0, throttle("throttled")

    def change(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        nonlocal once
        once += operation == "batch_execute_statement"
        return throttled(operation, request, send) if once < 6 else send(**request)

    between_tables(wiring, change)
    assert worked_off(wiring, batch) == ["2"]
    assert shown(stack) == {
        "last": ("block", None), "nan": ("approve", "score_missing"), "plain": ("approve", None),
        "throttled": ("block", None), "unknown": ("approve", "features_missing"), "wide": ("block", None),
    }  # fmt: skip
    (oversize,) = [item for item in stack.items() if item["pk"]["S"] == "wide"]
    assert max(len(reason["M"]["text"]["S"]) for reason in oversize["reasons"]["L"]) == MOST_CHARACTERS
    assert stack.published() == []
    wiring.bus._events = alive
    clock.a_while()
    assert deliver(wiring, record(7, [row("later")])) == []
    assert {event["detail"]["id"] for event in stack.published()} == {"last", "throttled", "wide"}
