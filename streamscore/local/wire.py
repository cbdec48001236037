"""The two stream APIs as they are on the wire: JSON, whose base64 is just what a Lambda event holds.

boto3 would decode every record for us to encode it again, at ten times the CPU.
"""

import http.client
from typing import Any

import msgspec

from common.errors import TransientError

_DATED = "20260101"  # the emulator reads the access key and the region, and checks nothing


class WireError(TransientError):
    """The service refused the call (`code` says how), or could not be reached (`code` is Unreachable)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Wire:
    """One connection to one service, for one thread."""

    def __init__(self, endpoint: str, service: str, target: str, region: str) -> None:
        self._connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
        scope = f"test/{_DATED}/{region}/{service}/aws4_request"
        self._target = target
        self._headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }

    def call(self, action: str, **request: Any) -> dict[str, Any]:
        """Send one call and return its reply; raises WireError."""
        headers = {**self._headers, "X-Amz-Target": f"{self._target}.{action}"}
        try:
            self._connection.request("POST", "/", msgspec.json.encode(request), headers)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise WireError("Unreachable", str(error)) from error
        reply: dict[str, Any] = msgspec.json.decode(body) if body else {}
        if response.status != 200:
            raise WireError(
                str(reply.get("__type", response.status)).split("#")[-1], str(reply.get("message", ""))
            )
        return reply

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
