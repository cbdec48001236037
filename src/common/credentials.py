"""Who signs: what Lambda puts into the environment, or what its credentials endpoint gives.

A function has its role's keys in environment variables, good for as long as the environment lives. Under
SnapStart it has an address instead, since a snapshot outlives any keys:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
Profiles, single sign-on and instance roles are a person's; nothing that runs on Lambda has them.
"""

import functools
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from common.errors import InvalidInputError, NoAnswerError
from common.keepalive import Answer, KeepAlive
from common.snapshot import after_restore

RENEW_BEFORE_S = 600.0
"""Keys are renewed this long before they expire, so that no call is signed with keys about to."""
ASK_AGAIN_S = 10.0
"""While the endpoint does not answer and the old keys are good, it is asked no more often than this."""
TIMEOUT_S = 2.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23"})


class Credentials(NamedTuple):
    """An access key, its secret, and the token of the session if it is one."""

    access_key: str
    secret_key: str
    token: str | None


def credentials_of(environ: Mapping[str, str]) -> Callable[[], Credentials]:
    """Gives the credentials that are good now; InvalidInputError if the environment names none.

    What is given raises NoAnswerError when keys have run out and no new ones can be had.
    """
    if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
        token = environ.get("AWS_SESSION_TOKEN") or None
        fixed = Credentials(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], token)
        return lambda: fixed
    if url := environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        return _container(url, environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""))
    raise InvalidInputError(
        "environment: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor "
        "AWS_CONTAINER_CREDENTIALS_FULL_URI is set; Lambda sets one of them"
    )


class _Keys(msgspec.Struct):
    AccessKeyId: str
    SecretAccessKey: str
    Token: str
    Expiration: datetime


class ContainerCredentials:
    """Keys from an endpoint on this machine, renewed before they expire; safe to use from several threads."""

    def __init__(self, url: str, authorization: str, now_s: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise InvalidInputError(
                f"AWS_CONTAINER_CREDENTIALS_FULL_URI: {url} would send keys in the clear to another machine"
            )
        self._http = KeepAlive(url, TIMEOUT_S, TIMEOUT_S)
        said = f"authorization: {authorization}\r\n" if authorization else ""
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._request = f"GET {path} HTTP/1.1\r\nhost: {parts.netloc}\r\n{said}\r\n".encode()
        self._now_s = now_s
        self._lock = threading.Lock()
        self._known: Credentials | None = None
        self._expires_s = self._asked_s = float("-inf")
        after_restore(self.forget)

    def __call__(self) -> Credentials:
        """The keys that are good now."""
        with self._lock:
            now_s = self._now_s()
            due = now_s >= self._expires_s - RENEW_BEFORE_S
            if due and (now_s >= self._expires_s or now_s >= self._asked_s + ASK_AGAIN_S):
                self._renew(now_s)
            if self._known is None or now_s >= self._expires_s:
                raise NoAnswerError(f"{self._http.url} gives no credentials that are good now")
            return self._known

    def forget(self) -> None:
        """Ask anew at the next call."""
        with self._lock:
            self._known, self._expires_s, self._asked_s = None, float("-inf"), float("-inf")

    def _renew(self, now_s: float) -> None:
        """Keeps what it has if there is no answer."""
        self._asked_s = now_s
        [outcome] = self._http.exchange([self._request])
        if not isinstance(outcome, Answer) or outcome.status != HTTPStatus.OK:
            return
        try:
            keys = msgspec.json.decode(outcome.body, type=_Keys)
        except msgspec.MsgspecError:
            return
        self._known = Credentials(keys.AccessKeyId, keys.SecretAccessKey, keys.Token)
        self._expires_s = keys.Expiration.timestamp()


_container = functools.cache(ContainerCredentials)
