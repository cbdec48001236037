"""Reads from SSM and S3, with "not there" and "not now" told apart: the one may be relied on, the other asked
again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from common.aws import Backoff, RemainingMs
from common.errors import ModelRefusedError, NoAnswerError, ServiceError, TransientError
from common.telemetry import logger, meter
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
    """The bytes of an object; ModelRefusedError if there is none, TransientError if S3 cannot give it now,
    NoAnswerError among these if it does not answer.
    """

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

    def __init__(self, own: Spec | None, s3: Any, bucket: str, backoff: Backoff | None = None) -> None:
        self._s3, self._bucket, self._backoff = s3, bucket, backoff or Backoff()
        self._known: dict[str, Spec] = {own.sha256: own} if own else {}

    def get(self, sha256: str) -> Spec | None:
        """The spec, or None if none of that sha was ever published, or something else in its place;
        TransientError if S3 does not answer.
        """
        if sha256 not in self._known:
            data = _get(self._s3, self._bucket, f"specs/{sha256}.json")
            if data is None:
                return None
            spec = _spec(data)
            if spec is None or spec.sha256 != sha256:
                logger().error("a spec is not what its name says", extra={"spec": sha256})
                return None
            self._known[sha256] = spec
        return self._known[sha256]

    def wait_for(self, sha256s: Iterable[str], remaining_ms: RemainingMs) -> None:
        """Use the time that is left to read these, so that the next delivery finds them: it comes at once."""
        for sha256 in sha256s:
            for _ in self._backoff.tries(remaining_ms):
                try:
                    self.get(sha256)
                except TransientError:
                    continue
                break


def _spec(data: bytes) -> Spec | None:
    try:
        return specs.from_json(data)
    except msgspec.MsgspecError:
        return None


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
        raise NoAnswerError(f"s3://{bucket}/{key}: {error}") from error
