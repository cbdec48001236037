"""S3's client: whole objects, read and written, in botocore's shape."""

import hashlib
import io
import os
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, TypedDict
from urllib.parse import quote

from common.credentials import credentials_of
from common.endpoints import SERVICES, given_endpoint, public_host, region_of
from common.errors import NoAnswerError, ServiceError
from common.keepalive import KeepAlive
from common.signature import Signer

_SERVICE = SERVICES["s3"]
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


class Object(TypedDict):
    """An object; `Body.read()` gives its bytes."""

    Body: IO[bytes]


class S3:
    """Objects of the buckets of one region. What is refused raises ServiceError (NoSuchKey, …), what is not
    answered NoAnswerError. Nothing is tried again here.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        region = region_of(environ)
        self._given = given_endpoint(_SERVICE, environ)
        self._public = "" if self._given else public_host(_SERVICE, region, environ)
        self._ca_file = environ.get("AWS_CA_BUNDLE")
        self._signer = Signer(region, "s3")
        self._credentials = credentials_of(environ)
        self._hosts: dict[str, KeepAlive] = {}

    def get_object(self, *, Bucket: str, Key: str) -> Object:
        """The object."""
        return {"Body": io.BytesIO(self._exchange("GET", Bucket, Key, b""))}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> dict[str, str]:
        """Write the object; S3 refuses it if it is not what was signed."""
        self._exchange("PUT", Bucket, Key, Body)
        return {}

    def _exchange(self, method: str, bucket: str, key: str, body: bytes) -> bytes:
        host, path = self._place(bucket, quote(key, safe="/~"))
        asked = f"{method} {path}"
        headers = {"host": host.host, "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        signed = self._signer.signed(self._credentials(), headers, body, time.time(), asked)
        lines = "".join([f"{name}: {value}\r\n" for name, value in signed.items()])
        request = f"{asked} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body
        [outcome] = host.exchange([request])
        if isinstance(outcome, NoAnswerError):
            raise outcome
        if outcome.status != HTTPStatus.OK:
            raise _error(f"{method} s3://{bucket}/{key}", outcome.status, outcome.body)
        return outcome.body

    def _place(self, bucket: str, key: str) -> tuple[KeepAlive, str]:
        """Connections and path: AWS's hosts carry the bucket's name; elsewhere it is in the path."""
        url = self._given or f"https://{bucket}.{self._public}"
        if url not in self._hosts:
            self._hosts[url] = KeepAlive(url, ca_file=self._ca_file)
        return self._hosts[url], f"/{bucket}/{key}" if self._given else f"/{key}"


def _error(operation: str, status: int, body: bytes) -> ServiceError:
    """A code that S3 does not name is the status."""
    code, message = _CODE.search(body), _MESSAGE.search(body)
    return ServiceError(
        operation,
        code[1].decode(errors="replace") if code else str(status),
        message[1].decode(errors="replace") if message else "",
        status,
    )
