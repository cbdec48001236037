"""AWS Signature Version 4, for calls so many that botocore's general signer is too slow.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import functools
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass

from common.credentials import Credentials


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one service of one region."""

    region: str
    service: str

    def signed(
        self,
        credentials: Credentials,
        headers: Mapping[str, str],
        body: bytes,
        now_s: float,
        asked: str = "POST /",
    ) -> dict[str, str]:
        """`headers` (lower-case names, `host` among them), those that AWS adds, and their signature.

        `asked` is method and path as they are sent: percent-encoded, without a query. Services other than
        S3 are asked at `/` only: they would want any other path encoded twice.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        added = {"x-amz-date": moment}
        if credentials.token:
            added["x-amz-security-token"] = credentials.token
        everything = dict(sorted({**headers, **added}.items()))
        names = ";".join(everything)
        lines = "".join([f"{name}:{value}\n" for name, value in everything.items()])
        method, _, path = asked.partition(" ")
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = _key(credentials.secret_key, moment[:8], self.region, self.service)
        signature = _hmac(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}").hex()
        who = f"Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return {**everything, "authorization": f"AWS4-HMAC-SHA256 {who}"}


@functools.lru_cache(maxsize=16)
def _key(secret: str, day: str, region: str, service: str) -> bytes:
    """The signing key; it is the same all day."""
    key = _hmac(f"AWS4{secret}".encode(), day)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
