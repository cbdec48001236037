"""A client of any AWS service that speaks JSON, in botocore's shape: `client.get_parameters(Names=[...])`.

Importing botocore and making clients with it takes most of a cold start, and its parser much of a batch. The
protocol needs little: the operation's name in a header, the request as JSON (bytes as base64, moments as
epoch seconds), and a signature. https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec

from common.credentials import credentials_of
from common.endpoints import SERVICES, given_endpoint, public_host, region_of
from common.errors import NoAnswerError, ServiceError
from common.keepalive import READ_TIMEOUT_S, Answer, KeepAlive
from common.signature import Signer

Decode = Callable[[bytes], dict[str, Any]]

_encode = msgspec.json.Encoder().encode
_anything = msgspec.json.Decoder()


class JsonClient:
    """One service in one region, as the environment says; safe to use from several threads.

    Operations are methods, their parameters keywords, their answers dicts; one that is refused raises
    ServiceError, one that is not answered NoAnswerError. Nothing is tried again here.
    """

    def __init__(
        self,
        service: str,
        environ: Mapping[str, str] = os.environ,
        decoders: Mapping[str, Decode] | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """`decoders` are for answers that need types, by the operation's name in AWS's spelling. What has not
        come after `read_timeout_s` counts as no answer.
        """
        self._service = SERVICES[service]
        region = region_of(environ)
        url = (
            given_endpoint(self._service, environ) or f"https://{public_host(self._service, region, environ)}"
        )
        self._http = KeepAlive(url, read_timeout_s=read_timeout_s, ca_file=environ.get("AWS_CA_BUNDLE"))
        self._signer = Signer(region, service)
        self._credentials = credentials_of(environ)
        self._decoders = decoders or {}
        self._type = f"application/x-amz-json-{self._service.json}"

    def each(
        self, operation: str, requests: Sequence[Mapping[str, Any]], most: int
    ) -> list[Callable[[], dict[str, Any]]]:
        """Make the calls, at most `most` at once. Each answer as a call that returns it, or raises."""
        name = _spelt(operation)
        decode: Decode = self._decoders.get(name, _anything.decode)
        outcomes = self._http.exchange((self._request(name, request) for request in requests), most)
        return [partial(_answer, name, decode, outcome) for outcome in outcomes]

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """The operation of that name."""
        if operation.startswith("_"):
            raise AttributeError(operation)
        return partial(self._call, operation)

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        [answer] = self.each(operation, [request], 1)
        return answer()

    def _request(self, name: str, request: Mapping[str, Any]) -> bytes:
        body = _encode(request)
        target = f"{self._service.target}.{name}"
        headers = {"content-type": self._type, "host": self._http.host, "x-amz-target": target}
        signed = self._signer.signed(self._credentials(), headers, body, time.time())
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        return f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


@functools.cache
def _spelt(operation: str) -> str:
    """AWS's spelling: `batch_get_item` is BatchGetItem."""
    return operation.title().replace("_", "")


def _answer(name: str, decode: Decode, outcome: Answer | NoAnswerError) -> dict[str, Any]:
    if isinstance(outcome, NoAnswerError):
        raise outcome
    if outcome.status != HTTPStatus.OK:
        raise _error(name, outcome.status, outcome.body)
    return decode(outcome.body) if outcome.body else {}


def _error(operation: str, status: int, body: bytes) -> ServiceError:
    try:
        told = _anything.decode(body)
        code, message = told["__type"].rpartition("#")[2], told.get("message") or told.get("Message", "")
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = str(status), body[:200].decode(errors="replace")
    return ServiceError(operation, code, message, status)
