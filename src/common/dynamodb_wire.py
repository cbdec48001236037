"""The two DynamoDB calls of the hot path, straight on the wire.

botocore still finds credentials, region and endpoint, signs, and keeps the connections. Its serializer and
parser walk every attribute in Python, half the CPU of a batch; msgspec does the same JSON in C.
"""

import socket
from typing import Any, TypedDict

import botocore.session
import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.httpsession import URLLib3Session

from common.aws import CONNECT_TIMEOUT_S, MOST_CONNECTIONS, READ_TIMEOUT_S

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
        self._url = client.meta.endpoint_url
        self._region = client.meta.region_name
        self._credentials = session.get_credentials()
        self._http = URLLib3Session(
            timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
            max_pool_connections=MOST_CONNECTIONS,
            # As botocore's own clients have it: without, head and body wait 40 ms for each other (Nagle).
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def batch_get_item(self, **request: Any) -> Any:
        """BatchGetItem; binary attributes come as bytes."""
        return _items.decode(self._call("BatchGetItem", request))

    def batch_execute_statement(self, **request: Any) -> Any:
        """BatchExecuteStatement."""
        return _anything.decode(self._call("BatchExecuteStatement", request))

    def _call(self, operation: str, request: dict[str, Any]) -> bytes:
        headers = {"X-Amz-Target": _TARGET + operation, "Content-Type": _JSON}
        unsigned = AWSRequest("POST", self._url, headers, _encode(request))
        SigV4Auth(self._credentials.get_frozen_credentials(), "dynamodb", self._region).add_auth(unsigned)
        answer = self._http.send(unsigned.prepare())
        body: bytes = answer.content
        if len(body) != int(answer.headers.get("Content-Length", len(body))):  # urllib3 is told not to check
            raise ConnectionClosedError(endpoint_url=self._url)
        if answer.status_code != 200:
            raise _error(operation, answer.status_code, body)
        return body


def _error(operation: str, status: int, body: bytes) -> ClientError:
    try:
        told = _anything.decode(body)
        code, message = told["__type"].rpartition("#")[2], told.get("message") or told.get("Message", "")
    except (msgspec.DecodeError, KeyError, TypeError):
        code, message = str(status), body[:200].decode(errors="replace")
    metadata = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)
