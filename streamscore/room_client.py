"""A person's botocore client as the rooms of src/ want theirs: with `each`, and with our errors.

Functions on Lambda have clients of their own (common.aws); profiles, single sign-on and roles are botocore's.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

from common.errors import InvalidInputError, NoAnswerError, ServiceError


class RoomClient:
    """Operations are methods; what is refused raises ServiceError, what is not answered NoAnswerError, and
    what cannot be asked at all (no credentials, a session that ran out) InvalidInputError.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def each(
        self, operation: str, requests: Sequence[Mapping[str, Any]], most: int
    ) -> list[Callable[[], dict[str, Any]]]:
        """Make the calls, at most `most` at once. Each answer as a call that returns it, or raises."""
        calls = [partial(getattr(self, operation), **request) for request in requests]
        if len(calls) == 1:
            return [*calls]
        with ThreadPoolExecutor(most, thread_name_prefix=operation) as threads:
            return [threads.submit(call).result for call in calls]

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """The operation of that name."""
        return partial(_called, operation, getattr(self._client, operation))


def _called(operation: str, call: Callable[..., dict[str, Any]], **request: Any) -> dict[str, Any]:
    try:
        return call(**request)
    except ClientError as error:
        told = error.response["Error"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise ServiceError(operation, told.get("Code", ""), told.get("Message", ""), status) from error
    except (HTTPClientError, ConnectionError) as error:
        raise NoAnswerError(f"{operation}: {error}") from error
    except BotoCoreError as error:
        raise InvalidInputError(f"{operation}: {error}") from error
