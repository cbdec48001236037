"""A pointer to a model that must not be used, followed by the handler as it scores: the running one stays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from common.telemetry import metrics
from scoring import bundle as bundles
from scoring.pointers import CHALLENGER, CHAMPION, Version, bundle_key, model_key
from scoring.serving import pauses
from scoring.wiring import Wiring
from streamscore.local.template import read_template
from streamscore.training import pointers
from tests import small_model
from tests.integration.scoring_stack import ScoringStack, deliver, fresh_stack, record, row

stack = fresh_stack
ROOT = Path(__file__).parents[2]


@dataclass
class Life:
    """A stack with a champion, and one process that scores."""

    stack: ScoringStack
    champion: str
    wiring: Wiring
    sent: int = 0

    def put(self, bundle: bytes, model: bytes) -> Version:
        """Objects under the version's keys, as they are."""
        version = Version(msgspec.json.decode(bundle)["version"], bundles.sha256(bundle))
        s3, bucket = self.stack.client("s3"), self.stack.settings.data_bucket
        s3.put_object(Bucket=bucket, Key=bundle_key(version.version), Body=bundle)
        s3.put_object(Bucket=bucket, Key=model_key(version.version), Body=model)
        return version

    def point(self, version: Version, name: str = CHAMPION) -> None:
        pointers.point(self.stack.client("ssm"), self.stack.settings.pointer_prefix, version, "test", name)

    def decided(self, wiring: Wiring | None = None) -> dict[str, Any]:
        """The next event's decision, the pointers read just before."""
        wiring = wiring or self.wiring
        wiring.serving.expire()
        metrics().clear_metrics()
        self.sent += 1
        assert deliver(wiring, record(self.sent, [row(f"e{self.sent:03}")])) == []
        return self.stack.items()[-1]


@pytest.fixture
def life(stack: ScoringStack, tmp_path: Path) -> Iterator[Life]:
    champion = stack.promote(tmp_path / "bundle")
    made = Life(stack, champion, stack.wired())
    assert made.decided()["model"] == {"S": champion}
    yield made
    metrics().clear_metrics()


def counted(name: str) -> float:
    return sum(metrics().metric_set.get(name, {"Value": [0.0]})["Value"])


def sealed(model: bytes, **changes: Any) -> tuple[bytes, bytes]:
    bundle = small_model.trained(1).bundle
    changed = msgspec.structs.replace(bundle, model_sha256=bundles.sha256(model), **changes)
    return bundles.encode(bundles.seal(changed)), model


def good() -> tuple[bytes, bytes]:
    return sealed(small_model.trained(1).model)


def wrong_hash(life: Life) -> Version:
    return Version(life.put(*good()).version, "0" * 64)


def truncated_model(life: Life) -> Version:
    bundle, model = good()
    return life.put(bundle, model[:-100])


def truncated_bundle(life: Life) -> Version:
    version = life.put(*good())
    cut = bundles.encode(small_model.trained(1).bundle)[:-100]
    s3, bucket = life.stack.client("s3"), life.stack.settings.data_bucket
    s3.put_object(Bucket=bucket, Key=bundle_key(version.version), Body=cut)
    return Version(version.version, bundles.sha256(cut))


def absent(life: Life) -> Version:
    return Version("0" * 16, "0" * 64)


def unknown_features(life: Life) -> Version:
    bundle, model = small_model.trained(1).bundle, small_model.trained(1).model
    other = msgspec.structs.replace(bundle.features[0], name="card_velocity_1d")
    return life.put(*sealed(model, features=(other, *bundle.features[1:])))


def redefined_features(life: Life) -> Version:
    bundle, model = small_model.trained(1).bundle, small_model.trained(1).model
    other = msgspec.structs.replace(bundle.features[0], definition="0" * 16)
    return life.put(*sealed(model, features=(other, *bundle.features[1:])))


def external_data(life: Life) -> Version:
    """The file is there, in the process's folder: it is not read all the same."""
    np.full(4, 0.001, np.float32).tofile("weights.bin")
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    return life.put(*sealed(graph("MatMul", weight)))


def custom_operator(life: Life) -> Version:
    return life.put(*sealed(graph("Magic", None, "elsewhere")))


def graph(operator: str, weight: TensorProto | None, domain: str = "") -> bytes:
    node = helper.make_node(operator, ["x", "w"] if weight is not None else ["x"], ["p"], domain=domain)
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4]),
        helper.make_tensor_value_info("p", TensorProto.FLOAT, None),
    ]
    made = helper.make_graph([node], "g", values[:1], values[1:], [weight] if weight is not None else [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("elsewhere", 1)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=10).SerializeToString())


FAULTS = [
    wrong_hash, truncated_model, truncated_bundle, absent,
    unknown_features, redefined_features, external_data, custom_operator,
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("fault", FAULTS)
def test_the_running_model_stays_and_the_refusal_counts_until_a_good_one_is_named(
    life: Life, fault: Callable[[Life], Version]
) -> None:
    life.point(fault(life))
    for _ in range(2):  # for as long as it stands, so that the alarm stays on
        assert life.decided()["model"] == {"S": life.champion}
        assert counted("ModelRejected") == 1
    version = life.put(*good())
    life.point(version)
    assert life.decided()["model"] == {"S": version.version}
    assert (counted("ModelRejected"), counted("ModelSwapped")) == (0, 1)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_cold_start_takes_the_model_before(life: Life, fault: Callable[[Life], Version]) -> None:
    life.point(fault(life))
    assert life.decided(life.stack.wired())["model"] == {"S": life.champion}
    assert counted("ModelRejected") == 1


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_cold_start_without_any_other_decides_by_fallback(
    life: Life, fault: Callable[[Life], Version]
) -> None:
    prefix = life.stack.settings.pointer_prefix
    life.stack.client("ssm").delete_parameter(Name=f"{prefix}/{CHAMPION}")
    life.point(fault(life))
    item = life.decided(life.stack.wired())
    features = fault in (unknown_features, redefined_features)
    assert item["reasons"] == {"L": [{"S": "features_missing" if features else "model_unavailable"}]}
    assert "model" not in item
    assert counted("ModelRejected") == 1


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_challenger_that_is_refused_leaves_decisions_as_they_are(
    life: Life, fault: Callable[[Life], Version]
) -> None:
    life.point(fault(life), CHALLENGER)
    item = life.decided()
    assert (item["model"], "challenger" in item) == ({"S": life.champion}, False)
    assert counted("ModelRejected") == 1


def test_a_value_that_is_no_pointer_leaves_the_running_model(life: Life) -> None:
    name = f"{life.stack.settings.pointer_prefix}/{CHAMPION}"
    life.stack.client("ssm").put_parameter(Name=name, Value="latest", Type="String", Overwrite=True)
    assert life.decided()["model"] == {"S": life.champion}
    assert counted("ModelRejected") == 1


def test_a_challenger_that_fails_as_it_scores_fails_no_batch(life: Life) -> None:
    life.point(life.put(*good()), CHALLENGER)
    assert "challenger" in life.decided()
    life.wiring.serving.current().challenger._session = None
    item = life.decided()
    assert (item["model"], "challenger" in item) == ({"S": life.champion}, False)
    assert (counted("ChallengerFailed"), counted("DecisionsMade")) == (1, 1)


def test_shadow_is_counted_once_a_decision_and_not_again_on_a_replay(life: Life) -> None:
    life.point(life.put(*good()), CHALLENGER)
    life.wiring.serving.expire()
    batch = [record(900, [row(f"x{n}", amount) for n, amount in enumerate((1.0, 150.0, 900.0))])]
    metrics().clear_metrics()
    deliver(life.wiring, *batch)
    items = [item for item in life.stack.items() if item["pk"]["S"].startswith("x")]
    would = [item["challenger"]["M"]["decision"]["S"] for item in items]
    agreed = sum(item["decision"]["S"] == one for item, one in zip(items, would, strict=True))
    assert counted("ChallengerAgreed") == agreed
    assert counted("ChallengerFlips") == 3 - agreed
    assert counted("ChallengerAlerts") == sum(one != "approve" for one in would) > 0
    metrics().clear_metrics()
    deliver(life.wiring, *batch)
    assert counted("DecisionsRepeated") == 3
    assert counted("ChallengerAgreed") + counted("ChallengerFlips") + counted("ChallengerAlerts") == 0


def test_in_aws_a_pointer_is_followed_within_a_minute() -> None:
    variables = read_template(ROOT / "template.yaml")["Globals"]["Function"]["Environment"]["Variables"]
    pause_s = pauses(float(variables["POINTERS_REREAD_S"]), lambda: 1.0)
    assert pause_s(False) <= 60


def test_an_alarm_watches_refusals_on_both_paths() -> None:
    resources = read_template(ROOT / "template.yaml")["Resources"]
    watched = {
        next(d["Value"] for d in alarm["Properties"]["Dimensions"] if d["Name"] == "service")
        for alarm in resources.values()
        if alarm["Type"] == "AWS::CloudWatch::Alarm"
        and alarm["Properties"].get("MetricName") == "ModelRejected"
    }
    assert watched == {"scoring", "scoring_api"}
