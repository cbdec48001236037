"""The two DynamoDB calls of the hot path, straight on the wire.

botocore still finds credentials, region and endpoint. Its serializer and parser walk every attribute in
Python, half the CPU of a batch, and its signing and HTTP most of the rest; msgspec does the same JSON in C.
"""

import time
from typing import Any, TypedDict

import botocore.session
import msgspec
from botocore.exceptions import ClientError
from botocore.httpsession import get_cert_path

from common.aws import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from common.keepalive import KeepAlive
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


class Wire:
    """As much of a DynamoDB client as `DynamoDB` needs; errors are botocore's own."""

    def __init__(self) -> None:
        session = botocore.session.get_session()
        client = session.create_client("dynamodb")
        self._signer = Signer(client.meta.region_name, "dynamodb")
        self._credentials = session.get_credentials()
        ca_file = session.get_config_variable("ca_bundle") or get_cert_path(True)
        self._http = KeepAlive(client.meta.endpoint_url, CONNECT_TIMEOUT_S, READ_TIMEOUT_S, ca_file)

    def batch_get_item(self, **request: Any) -> Any:
        """BatchGetItem; binary attributes come as bytes."""
        return _items.decode(self._call("BatchGetItem", request))

    def batch_execute_statement(self, **request: Any) -> Any:
        """BatchExecuteStatement."""
        return _anything.decode(self._call("BatchExecuteStatement", request))

    def _call(self, operation: str, request: dict[str, Any]) -> bytes:
        body = _encode(request)
        headers = {"content-type": _JSON, "host": self._http.host, "x-amz-target": _TARGET + operation}
        credentials = self._credentials.get_frozen_credentials()
        signed = self._signer.signed(credentials, headers, body, time.time())
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        head = f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n"
        answer = self._http.post(head.encode(), body)
        if answer.status != 200:
            raise _error(operation, answer.status, answer.body)
        return answer.body


def _error(operation: str, status: int, body: bytes) -> ClientError:
    try:
        told = _anything.decode(body)
        code, message = told["__type"].rpartition("#")[2], told.get("message") or told.get("Message", "")
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = str(status), body[:200].decode(errors="replace")
    metadata = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)
