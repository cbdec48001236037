"""The life of a model by command: train, register, promote, roll back, list; and a decision as text."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from common.errors import InvalidInputError, ModelRefusedError
from scoring.pointers import ALL, CHALLENGER, NOTHING, bundle_key, model_key
from streamscore.cli.main import cli
from streamscore.local.stack import Stack
from streamscore.training import bundles, pointers
from tests import small_model
from tests.integration.commands import invoke

Run = Callable[..., Result]


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command on the local stack of the spec that ships; its pointers are gone afterwards."""
    monkeypatch.chdir(stack.state_dir.parent)
    yield invoke
    names = [f"{stack.outputs['PointerPrefix']}/{name}" for name in ALL]
    stack.client("ssm").delete_parameters(Names=names)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two bundles of the spec that ships."""
    folders = []
    for seed in (0, 1):
        made = small_model.shipped(seed)
        folders.append(tmp_path_factory.mktemp("bundles") / f"bundle-{seed}")
        bundles.write(made.bundle, made.model, folders[-1])
    return folders


def version_of(folder: Path) -> str:
    return bundles.read(folder)[2].version


def roles_of(run: Run, folders: list[Path]) -> dict[str, str]:
    """What `models` says of these bundles; other tests registered others."""
    ours = {version_of(folder) for folder in folders}
    rows = json.loads(run("models", "--json").stdout)
    return {row["version"]: row["role"] for row in rows if row["version"] in ours}


def test_train_prints_what_it_made_and_json_on_demand(tmp_path: Path) -> None:
    (tmp_path / "features.toml").write_text(small_model.SPEC)
    small_model.write_features(tmp_path / "features.parquet", small_model.table(rows=600))
    arguments = [
        "train",
        tmp_path / "features.parquet",
        "-o",
        tmp_path / "bundle",
        "--spec",
        tmp_path / "features.toml",
    ]
    text = CliRunner().invoke(cli, [str(a) for a in arguments])
    assert text.exit_code == 0, text.output
    assert version_of(tmp_path / "bundle") in text.stdout
    assert "0 decided otherwise" in text.stdout
    as_json = CliRunner().invoke(
        cli, [str(a) for a in [*arguments, "--train", "7d", "--gap", "2d", "--json"]]
    )
    assert json.loads(as_json.stdout)["train"]["rows"] < 200
    assert version_of(tmp_path / "bundle") == json.loads(as_json.stdout)["version"]


def test_a_length_of_time_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["train", "f.parquet", "-o", str(tmp_path), "--test", "a week"])
    assert result.exit_code == 2
    assert "is no duration" in result.output


def test_promote_roll_back_and_list(run: Run, shipped: list[Path]) -> None:
    first, second = (version_of(folder) for folder in shipped)
    assert run("rollback").exception is not None
    assert run("promote", shipped[0]).exit_code == 0
    assert run("register", shipped[1]).exit_code == 0
    assert run("promote", second, "--force", "--reason", "better").exit_code == 0
    roles = roles_of(run, shipped)
    assert roles == {first: "previous", second: "champion"}
    run("rollback")
    roles = roles_of(run, shipped)
    assert roles == {first: "champion", second: ""}
    shown = run("models").stdout.splitlines()
    at = next(n for n, line in enumerate(shown) if line.startswith(f"{first}  champion"))
    assert shown[at + 1].endswith(": rollback")
    history = run("models", "--history").stdout.splitlines()
    assert [line.split(None, 1)[1] for line in history] == [
        f"back to  {first}: rollback",
        f"promoted  {second}, forced: coverage failed: better",
        f"promoted  {first}",
    ]
    moves = json.loads(run("models", "--history", "--json").stdout)
    assert [move.get("forced", []) for move in moves] == [[], ["coverage"], []]


def test_rolled_back_twice_it_is_two_back(run: Run, shipped: list[Path]) -> None:
    first, second = (version_of(folder) for folder in shipped)
    for version in (shipped[0], shipped[1], first):
        run("promote", version, "--force", "--reason", "test")
    assert [run("rollback").stderr.split()[3] for _ in range(2)] == [second, first]
    assert "no earlier version" in str(run("rollback").exception)


def test_what_was_before_and_is_damaged_is_not_returned_to(
    run: Run, stack: Stack, shipped: list[Path]
) -> None:
    for folder in shipped:
        run("promote", folder, "--force", "--reason", "test")
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    key = model_key(version_of(shipped[0]))
    right = bundles.fetch(s3, bucket, key)
    s3.put_object(Bucket=bucket, Key=key, Body=right[:100])
    assert isinstance(run("rollback").exception, ModelRefusedError)
    assert pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"]).version == version_of(
        shipped[1]
    )
    s3.put_object(Bucket=bucket, Key=key, Body=right)
    assert run("rollback").exit_code == 0


def test_a_damaged_bundle_is_listed_as_one_beside_the_others(
    run: Run, stack: Stack, shipped: list[Path]
) -> None:
    run("register", shipped[0])
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    s3.put_object(Bucket=bucket, Key=bundle_key("0" * 16), Body=b"{}")
    shown = run("models").stdout
    s3.delete_object(Bucket=bucket, Key=bundle_key("0" * 16))
    assert f"{'0' * 16}             damaged: bundle.json" in shown
    assert version_of(shipped[0]) in shown


def test_a_challenger_is_marked_and_withdrawn(run: Run, stack: Stack, shipped: list[Path]) -> None:
    run("promote", shipped[0])
    second = version_of(shipped[1])
    assert run("challenger", shipped[1]).exit_code == 0
    roles = roles_of(run, shipped)
    assert roles == {version_of(shipped[0]): "champion", second: "challenger"}
    assert run("challenger", "none").exit_code == 0
    ssm, prefix = stack.client("ssm"), stack.outputs["PointerPrefix"]
    assert pointers.read(ssm, prefix, CHALLENGER).current == NOTHING
    run("challenger", second)
    run("promote", second, "--force", "--reason", "test")
    assert pointers.read(ssm, prefix, CHALLENGER).current == NOTHING


def test_what_could_tell_nothing_is_not_put_in_shadow(run: Run, shipped: list[Path], tmp_path: Path) -> None:
    run("promote", shipped[0])
    assert isinstance(run("challenger", "0123456789abcdef").exception, InvalidInputError)
    assert "is the champion" in str(run("challenger", version_of(shipped[0])).exception)
    made = small_model.trained()
    bundles.write(made.bundle, made.model, tmp_path / "bundle")
    refused = run("challenger", tmp_path / "bundle")
    assert isinstance(refused.exception, ModelRefusedError)
    assert "card_count_1d" in refused.stderr


def test_promoting_the_champion_again_keeps_what_was_before(
    run: Run, stack: Stack, shipped: list[Path]
) -> None:
    for folder in (*shipped, shipped[1]):
        assert run("promote", folder, "--force", "--reason", "test").exit_code == 0
    pointer = pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"])
    assert pointer is not None
    assert pointer.previous is not None
    assert pointer.previous.version == version_of(shipped[0])


def test_a_model_of_other_features_is_not_promoted(run: Run, stack: Stack, tmp_path: Path) -> None:
    made = small_model.trained()
    bundles.write(made.bundle, made.model, tmp_path / "bundle")
    refused = run("promote", tmp_path / "bundle")
    assert isinstance(refused.exception, ModelRefusedError)
    assert "features failed" in str(refused.exception)
    assert "card_count_1d" in refused.stderr
    assert pointers.read(stack.client("ssm"), stack.outputs["PointerPrefix"]) is None


def test_what_is_no_bundle_is_not_promoted(run: Run, shipped: list[Path], tmp_path: Path) -> None:
    assert isinstance(run("promote", "0123456789abcdef").exception, InvalidInputError)
    assert isinstance(run("promote", tmp_path).exception, InvalidInputError)
    (tmp_path / "model.onnx").write_bytes((shipped[0] / "model.onnx").read_bytes()[:100])
    (tmp_path / "bundle.json").write_bytes((shipped[0] / "bundle.json").read_bytes())
    assert isinstance(run("promote", tmp_path).exception, ModelRefusedError)


def test_a_registered_version_is_never_overwritten(run: Run, stack: Stack, shipped: list[Path]) -> None:
    run("register", shipped[0])
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    key = bundle_key(version_of(shipped[0]))
    right = bundles.fetch(s3, bucket, key)
    s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
    assert isinstance(run("register", shipped[0]).exception, ModelRefusedError)
    assert bundles.fetch(s3, bucket, key) == b"{}"
    s3.put_object(Bucket=bucket, Key=key, Body=right)
    assert run("register", shipped[0]).exit_code == 0


def test_a_registration_that_was_cut_short_is_completed(run: Run, stack: Stack, shipped: list[Path]) -> None:
    run("register", shipped[0])
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]
    key = model_key(version_of(shipped[0]))
    s3.delete_object(Bucket=bucket, Key=key)
    assert isinstance(run("promote", version_of(shipped[0])).exception, InvalidInputError)
    assert run("register", shipped[0]).exit_code == 0
    assert bundles.fetch(s3, bucket, key) == (shipped[0] / "model.onnx").read_bytes()
