"""Publishing what a deployment ships: what was made with it can then be resolved by its hash, long after it
is replaced.
"""

from pathlib import Path
from typing import Any

from scoring import policy_file
from scoring.pointers import policy_key
from stream_features import spec as specs
from stream_features.spec import Spec


def publish_spec(s3: Any, bucket: str, spec: Spec) -> str:
    """Write the spec as `specs/<sha256>.json` and return that key. Doing it again changes nothing."""
    key = f"specs/{spec.sha256}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=specs.to_json(spec))
    return key


def publish_shipped_policy(s3: Any, bucket: str, path: Path) -> str:
    """Write the policy that ships, which decides until another is published, as `policies/<version>.toml` and
    return that key. No pointer moves; doing it again changes nothing. InvalidInputError if it is no policy.
    """
    text = path.read_text(encoding="utf-8")
    key = policy_key(policy_file.parse(text, str(path)).version)
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    return key
