"""The gate before a champion, by command, on a stack with decisions: each check refuses, and says why."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import Result

from common.errors import InvalidInputError, ModelRefusedError
from scoring.bundle import Conversion, seal
from scoring.items import Decision, to_item
from scoring.model import Model
from scoring.pointers import CHALLENGER, NOTHING, bundle_key
from scoring.policy import Verdict
from streamscore.demo import life
from streamscore.local.stack import Stack
from streamscore.parity.served import running_spec
from streamscore.training import bundles, pointers
from tests import small_model
from tests.integration import test_model_commands

Run = Callable[..., Result]
run, shipped = test_model_commands.run, test_model_commands.shipped
DAY_MS = 86_400_000
SINCE_MS = small_model.START_MS + 40 * DAY_MS
"""After the training of both models."""
ENOUGH = 60


def opened(folder: Path) -> Model:
    bundle_json, model, _ = bundles.read(folder)
    return Model.load(bundle_json, model)


@pytest.fixture
def decide(stack: Stack) -> Iterator[Callable[..., None]]:
    """Store labelled decisions of a model, over ten days; the labels are as `truth` would have them."""
    stored: list[str] = []
    spec = running_spec(stack)
    db, table = stack.client("dynamodb"), stack.outputs["DecisionsTableName"]

    def put(model: Model, truth: Model, count: int = ENOUGH, since_ms: int = SINCE_MS) -> None:
        random = np.random.default_rng(7)
        rows = random.gamma(2.0, 20.0, (count, len(spec.features))).astype("<f4")
        labels = truth.scores(rows) > np.median(truth.scores(rows))
        for n, (row, score, label) in enumerate(zip(rows, model.scores(rows), labels, strict=True)):
            at_ms = since_ms + n * 10 * DAY_MS // count
            decision = Decision(
                f"gate-{n}", "c1", at_ms, at_ms, time.time_ns() // 1_000_000, float(score),
                Verdict("approve", ()), (), "", model.version, "0" * 16, spec.sha256, row.tobytes(),
                {"amount": {"N": "1.00"}}, None, "stream", {"terminal": "t1"},
            )  # fmt: skip
            item = to_item(decision) | {
                "label": {"BOOL": bool(label)},
                "label_time": {"N": str(at_ms + 8 * DAY_MS)},
            }
            db.put_item(TableName=table, Item=item)
            stored.append(decision.id)

    yield put
    for id_ in stored:
        db.delete_item(TableName=table, Key={"pk": {"S": id_}})


@pytest.fixture
def gate(run: Run, tmp_path: Path) -> Callable[[str], None]:
    """Publish a policy with this [gate]."""

    def publish(text: str) -> None:
        (tmp_path / "policy.toml").write_text(f"[gate]\n{text}\n")
        assert run("policy", "publish", tmp_path / "policy.toml").exit_code == 0

    return publish


@pytest.fixture
def champion(run: Run, shipped: list[Path], gate: Callable[[str], None]) -> Model:
    gate(f"matured_labels = {ENOUGH}")
    assert run("promote", shipped[0]).exit_code == 0
    return opened(shipped[0])


def current(stack: Stack, name: str = "champion") -> str:
    return pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"], name).version


def refused(result: Result) -> str:
    assert isinstance(result.exception, ModelRefusedError)
    return f"{result.exception}\n{result.stderr}"


def test_the_first_champion_needs_no_traffic(run: Run, stack: Stack, shipped: list[Path]) -> None:
    shown = run("promote", shipped[0]).stderr
    assert [line.split(":")[0] for line in shown.splitlines() if line.startswith("held")] == [
        "held    conversion",
        "held    features",
        "held    budget",
    ]
    assert current(stack) == opened(shipped[0]).version


def test_a_better_one_with_enough_labels_is_promoted_and_leaves_the_shadow(
    run: Run, stack: Stack, shipped: list[Path], champion: Model, decide: Callable[..., None]
) -> None:
    run("challenger", shipped[1])
    decide(champion, truth=opened(shipped[1]))
    shown = run("promote", opened(shipped[1]).version, "--reason", "better")
    assert shown.exit_code == 0, shown.stderr
    assert f"{ENOUGH} matured labels" in shown.stderr
    assert current(stack) == opened(shipped[1]).version
    assert current(stack, CHALLENGER) == NOTHING.version
    assert pointers.history(stack.client("ssm"), stack.outputs["PointerPrefix"])[0].forced == ()


def test_one_that_ranks_worse_is_refused(
    run: Run, stack: Stack, shipped: list[Path], champion: Model, decide: Callable[..., None]
) -> None:
    decide(champion, truth=champion)
    said = refused(run("promote", shipped[1]))
    assert "average precision, ROC AUC failed" in said
    assert "the champion has 1.0000" in said
    assert current(stack) == champion.version


@pytest.mark.parametrize(
    ("count", "since_ms", "whose"),
    [
        pytest.param(0, SINCE_MS, 0, id="none"),
        pytest.param(ENOUGH - 1, SINCE_MS, 0, id="one too few"),
        pytest.param(ENOUGH, small_model.START_MS - 20 * DAY_MS, 0, id="events that trained them"),
        pytest.param(ENOUGH, SINCE_MS, 1, id="decisions of another model"),
    ],
)
def test_too_few_labels_to_compare_on_are_refused(  # noqa: PLR0913, PLR0917 - fixtures
    run: Run,
    stack: Stack,
    shipped: list[Path],
    champion: Model,
    decide: Callable[..., None],
    count: int,
    since_ms: int,
    whose: int,
) -> None:
    if count:
        decide(opened(shipped[whose]), opened(shipped[1]), count, since_ms)
    said = refused(run("promote", shipped[1]))
    assert "coverage failed" in said
    assert "let it run in shadow" in said
    assert current(stack) == champion.version


def test_force_needs_a_reason_and_both_are_kept_and_shown(
    run: Run, stack: Stack, shipped: list[Path], champion: Model
) -> None:
    for wrong in ((), ("--reason", "  ")):
        assert isinstance(run("promote", shipped[1], "--force", *wrong).exception, InvalidInputError)
    assert current(stack) == champion.version
    assert run("promote", shipped[1], "--force", "--reason", "the champion blocks everyone").exit_code == 0
    assert "forced: coverage failed: the champion blocks everyone" in run("models").stdout
    assert "forced: coverage failed: the champion blocks everyone" in run("models", "--history").stdout


def test_the_demo_forces_what_the_gate_refuses_and_says_why(
    stack: Stack, shipped: list[Path], champion: Model
) -> None:
    lived = life.Lived(champion.version)
    life.promote(stack, life.registered(stack, shipped[1]), lived)
    assert lived.promotion is not None
    assert lived.promotion.forced == ("coverage",)
    assert lived.promotion.reason == life.FORCED
    assert current(stack) == lived.promotion.version == opened(shipped[1]).version


def changed(folder: Path, to: Path, **changes: Any) -> Path:
    _, model, bundle = bundles.read(folder)
    bundles.write(seal(msgspec.structs.replace(bundle, **changes)), model, to)
    return to


@pytest.mark.parametrize(
    "proof",
    [
        Conversion(rows=0, max_difference=0.0, flips=0),
        Conversion(rows=9, max_difference=0.0, flips=1),
        Conversion(rows=9, max_difference=2e-5, flips=0),
    ],
)
def test_one_whose_conversion_is_not_proven_is_refused_even_as_the_first(
    run: Run, shipped: list[Path], tmp_path: Path, proof: Conversion
) -> None:
    folder = changed(shipped[0], tmp_path / "bundle", conversion=proof)
    assert "conversion failed" in refused(run("promote", folder))
    assert "conversion failed" in refused(run("challenger", folder))


def test_one_whose_features_are_defined_otherwise_is_refused(
    run: Run, shipped: list[Path], tmp_path: Path
) -> None:
    _, _, bundle = bundles.read(shipped[0])
    other = msgspec.structs.replace(bundle.features[0], definition="0" * 16)
    folder = changed(shipped[0], tmp_path / "bundle", features=(other, *bundle.features[1:]))
    said = refused(run("promote", folder))
    assert "features failed" in said
    assert f"does not define in the same way: {other.name}" in said


def test_what_functions_serve_counts_not_what_was_published_last(
    run: Run, stack: Stack, shipped: list[Path], tmp_path: Path
) -> None:
    """As after `publish` and before the deployment, or when the deployment failed."""
    (tmp_path / "features.toml").write_text(small_model.SPEC)
    assert run("publish", "--spec", tmp_path / "features.toml").exit_code == 0
    bundles.write(small_model.trained().bundle, small_model.trained().model, tmp_path / "bundle")
    assert "features failed" in refused(run("promote", tmp_path / "bundle"))
    assert run("promote", shipped[0]).exit_code == 0


@pytest.mark.parametrize("limit", ["model_mb = 0.001", "load_ms = 0.01", "row_ms = 0.000001"])
def test_one_that_is_too_large_or_too_slow_to_open_or_to_score_is_refused(
    run: Run, shipped: list[Path], gate: Callable[[str], None], limit: str
) -> None:
    gate(limit)
    assert "budget failed" in refused(run("promote", shipped[0]))


def test_a_champion_that_cannot_be_read_can_only_be_replaced_by_force(
    run: Run, stack: Stack, shipped: list[Path], champion: Model
) -> None:
    s3, bucket, key = stack.client("s3"), stack.outputs["DataBucketName"], bundle_key(champion.version)
    right = bundles.fetch(s3, bucket, key)
    for broken in (
        lambda: s3.delete_object(Bucket=bucket, Key=key),
        lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"{"),
    ):
        broken()
        said = refused(run("promote", shipped[1]))
        s3.put_object(Bucket=bucket, Key=key, Body=right)
        assert "cannot be read" in said


def test_a_gate_that_makes_no_sense_is_refused_with_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[gate]\nmatured_labels = -1\n")
    assert "policy.toml:2" in str(run("policy", "publish", tmp_path / "policy.toml").exception)
    (tmp_path / "policy.toml").write_text("[gate]\nlabels = 10\n")
    assert isinstance(run("policy", "check", tmp_path / "policy.toml").exception, InvalidInputError)
