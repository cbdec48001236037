"""Reads from SSM and S3, with "not there" and "not now" told apart: the one may be relied on, the other asked
again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.errors import InvalidInputError, ModelRefusedError, NoAnswerError, ServiceError, TransientError
from common.telemetry import meter
from stream_features import spec as specs
from stream_features.spec import Spec

_ABSENT = frozenset({"NoSuchKey", "404", "NotFound"})


def pointer_reader(ssm: Any, prefix: str) -> Callable[[Sequence[str]], dict[str, str]]:
    """Values of the pointers of these names that exist, in one request; TransientError if SSM does not
    answer.
    """

    def read(names: Sequence[str]) -> dict[str, str]:
        try:
            answer = ssm.get_parameters(Names=[f"{prefix}/{name}" for name in names])
        except (NoAnswerError, ServiceError) as error:
            raise TransientError(f"pointers {prefix}: {error}") from error
        return {p["Name"].rpartition("/")[2]: p["Value"] for p in answer["Parameters"]}

    return read


def object_reader(s3: Any, bucket: str) -> Callable[[str], bytes]:
    """The bytes of an object; ModelRefusedError if there is none, TransientError if S3 does not answer."""

    def read(key: str) -> bytes:
        data = _get(s3, bucket, key)
        if data is None:
            raise ModelRefusedError(f"s3://{bucket}/{key}: no such object")
        return data

    return read


class Specs:
    """Every spec a vector may have been made with, by sha256: the one that ships with the code, the rest from
    S3.
    """

    def __init__(self, own: Spec | None, s3: Any, bucket: str) -> None:
        self._s3, self._bucket = s3, bucket
        self._known: dict[str, Spec] = {own.sha256: own} if own else {}

    def get(self, sha256: str) -> Spec | None:
        """The spec, or None if none of that sha was ever published; TransientError if S3 does not answer."""
        if sha256 not in self._known:
            data = _get(self._s3, self._bucket, f"specs/{sha256}.json")
            if data is None:
                return None
            spec = specs.from_json(data)
            if spec.sha256 != sha256:
                raise InvalidInputError(f"specs/{sha256}.json holds the spec {spec.sha256}")
            self._known[sha256] = spec
        return self._known[sha256]


def _get(s3: Any, bucket: str, key: str) -> bytes | None:
    meter().s3_get()
    try:
        answer: Mapping[str, Any] = s3.get_object(Bucket=bucket, Key=key)
        return bytes(answer["Body"].read())
    except ServiceError as error:
        if error.code in _ABSENT:
            return None
        raise TransientError(f"s3://{bucket}/{key}: {error}") from error
    except NoAnswerError as error:
        raise TransientError(f"s3://{bucket}/{key}: {error}") from error
