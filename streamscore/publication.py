"""Publishing a spec: what was made with it can then be resolved by its sha256, long after it is replaced."""

from typing import Any

from stream_features import spec as specs
from stream_features.spec import Spec


def publish_spec(s3: Any, bucket: str, spec: Spec) -> str:
    """Write the spec as `specs/<sha256>.json` and return that key.

    The content is named by its hash, so writing it again changes nothing but its date: the newest one is the
    one last deployed.
    """
    key = f"specs/{spec.sha256}.json"
    s3.put_object(Bucket=bucket, Key=key, Body=specs.to_json(spec))
    return key
