"""The two DynamoDB calls of the hot path, straight on the wire.

botocore still finds credentials, region and endpoint. Its serializer and parser walk every attribute in
Python, half the CPU of a batch, and its signing and HTTP most of the rest; msgspec does the same JSON in C.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, TypedDict

import botocore.session
import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path

from common.aws import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from common.keepalive import Answer, KeepAlive
from common.signature import Signer

_TARGET = "DynamoDB_20120810."
_JSON = "application/x-amz-json-1.0"


class _Value(TypedDict, total=False):
    S: str
    N: str
    B: bytes
    BOOL: bool
    NULL: bool
    L: "list[_Value]"
    M: "dict[str, _Value]"


class _Items(TypedDict, total=False):
    Responses: dict[str, list[dict[str, _Value]]]
    UnprocessedKeys: dict[str, Any]
    ConsumedCapacity: Any


_encode = msgspec.json.Encoder().encode
_items = msgspec.json.Decoder(_Items)
_anything = msgspec.json.Decoder()
_OPERATIONS: dict[str, tuple[str, Any]] = {
    "batch_get_item": ("BatchGetItem", _items.decode),
    "batch_execute_statement": ("BatchExecuteStatement", _anything.decode),
}


class Wire:
    """As much of a DynamoDB client as `DynamoDB` needs; errors are botocore's own."""

    def __init__(self) -> None:
        session = botocore.session.get_session()
        client = session.create_client("dynamodb")
        self._signer = Signer(client.meta.region_name, "dynamodb")
        self._credentials = session.get_credentials()
        ca_file = session.get_config_variable("ca_bundle") or get_cert_path(True)
        self._http = KeepAlive(client.meta.endpoint_url, CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ca_file)

    def each(
        self, operation: str, requests: Sequence[dict[str, Any]], most: int
    ) -> list[Callable[[], dict[str, Any]]]:
        """Make the calls, at most `most` at once. Each answer as a call that returns it, or raises.

        `batch_get_item` and `batch_execute_statement` are known; binary attributes come as bytes.
        """
        name, decode = _OPERATIONS[operation]
        outcomes = self._http.exchange((self._request(name, request) for request in requests), most)
        return [partial(_answer, name, decode, outcome) for outcome in outcomes]

    def _request(self, name: str, request: dict[str, Any]) -> bytes:
        body = _encode(request)
        headers = {"content-type": _JSON, "host": self._http.host, "x-amz-target": _TARGET + name}
        credentials = self._credentials.get_frozen_credentials()
        signed = self._signer.signed(credentials, headers, body, time.time())
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        return f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


def _answer(
    name: str, decode: Callable[[bytes], dict[str, Any]], outcome: Answer | BotoCoreError
) -> dict[str, Any]:
    if isinstance(outcome, BotoCoreError):
        raise outcome
    if outcome.status != HTTPStatus.OK:
        raise _error(name, outcome.status, outcome.body)
    return decode(outcome.body)


def _error(operation: str, status: int, body: bytes) -> ClientError:
    try:
        told = _anything.decode(body)
        code, message = told["__type"].rpartition("#")[2], told.get("message") or told.get("Message", "")
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = str(status), body[:200].decode(errors="replace")
    metadata = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)
