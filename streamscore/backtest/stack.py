"""What a stack keeps of the models, policies and specs that its decisions name."""

from common.settings import code_root
from scoring import policy_file
from scoring.model import Model
from scoring.pointers import bundle_key, model_key, policy_key
from scoring.policy import Policy
from streamscore.backtest.again import Known
from streamscore.decided.decisions_log import Stack
from streamscore.parity import served
from streamscore.training.bundles import fetch


def known_of(stack: Stack) -> Known:
    """What is published in the stack's bucket, and the policy that ships, as it is here. A bundle or policy
    that does not hold together raises ModelRejectedError or InvalidInputError.
    """
    s3, bucket = stack.client("s3"), stack.outputs["DataBucketName"]

    def model(version: str) -> Model | None:
        bundle, onnx = (fetch(s3, bucket, key(version)) for key in (bundle_key, model_key))
        return None if bundle is None or onnx is None else Model.load(bundle, onnx)

    def policy(version: str) -> Policy | None:
        data = fetch(s3, bucket, policy_key(version))
        if data is not None:
            return policy_file.decode(data, version)
        ships = policy_file.parse((code_root() / "policy.toml").read_text(encoding="utf-8"))
        return ships if ships.version == version else None

    return Known(lambda sha: served.specs(stack, [sha]).get(sha), model, policy)
