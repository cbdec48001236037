"""Keys come from the environment, or from Lambda's endpoint in time before they expire."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from common.credentials import (
    ASK_AGAIN_S,
    RENEW_BEFORE_S,
    ContainerCredentials,
    Credentials,
    credentials_of,
)
from common.errors import InvalidInputError, NoAnswerError

START_S = 1_800_000_000.0


class Endpoint(ThreadingHTTPServer):
    """Lambda's credentials endpoint: keys are numbered and live an hour of `now_s`."""

    daemon_threads, block_on_close = True, False

    status, now_s, given, body = 200, START_S, 0, b""
    asked: list[tuple[str, str | None]]


class Giving(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Endpoint)
        server.asked.append((self.path, self.headers["Authorization"]))
        server.given += 1
        until = datetime.fromtimestamp(server.now_s + 3600, UTC).isoformat().replace("+00:00", "Z")
        keys = {
            "AccessKeyId": f"key-{server.given}",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": until,
        }
        body = server.body or json.dumps(keys).encode()
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint(("127.0.0.1", 0), Giving)
    server.asked = []
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def url(endpoint: Endpoint) -> str:
    return f"http://127.0.0.1:{endpoint.server_port}/2021-04-23/credentials"


@pytest.fixture
def keys(endpoint: Endpoint) -> ContainerCredentials:
    return ContainerCredentials(url(endpoint), "let me in", lambda: endpoint.now_s)


def test_keys_in_the_environment_are_used_and_kept():
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    source = credentials_of(environ | {"AWS_SESSION_TOKEN": "c"})
    assert source() == Credentials("a", "b", "c")
    assert credentials_of(environ)() == Credentials("a", "b", None)
    assert credentials_of(environ | {"AWS_SESSION_TOKEN": ""})() == Credentials("a", "b", None)


def test_an_environment_without_any_is_refused_by_name():
    with pytest.raises(InvalidInputError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        credentials_of({"AWS_ACCESS_KEY_ID": "half"})


def test_under_snapstart_the_endpoint_gives_them_to_all_clients_together(endpoint):
    endpoint.now_s = datetime.now(UTC).timestamp()
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": url(endpoint),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in",
    }
    sources = [credentials_of(environ) for _ in range(5)]
    assert {source() for source in sources} == {Credentials("key-1", "s", "t")}
    assert endpoint.asked == [("/2021-04-23/credentials", "let me in")]


def test_keys_are_renewed_before_they_expire_and_not_sooner(endpoint, keys):
    assert keys().access_key == "key-1"
    endpoint.now_s += 3600 - RENEW_BEFORE_S - 1
    assert keys().access_key == "key-1"
    endpoint.now_s += 1
    assert keys().access_key == "key-2"
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (403, b"no"), (200, b"{}"), (200, b"no JSON"), (200, b'{"Code":1}')]
)
def test_while_the_endpoint_fails_good_keys_stay_and_it_is_not_asked_at_every_call(
    endpoint, keys, status, body
):
    keys()
    endpoint.status, endpoint.body = status, body or b"{}"
    endpoint.now_s += 3600 - RENEW_BEFORE_S
    assert [keys().access_key for _ in range(10)] == ["key-1"] * 10
    assert len(endpoint.asked) == 2
    endpoint.now_s += ASK_AGAIN_S
    keys()
    assert len(endpoint.asked) == 3
    endpoint.now_s += RENEW_BEFORE_S
    with pytest.raises(NoAnswerError, match="gives no credentials"):
        keys()
    endpoint.status, endpoint.body = 200, b""
    assert keys().access_key.startswith("key-")


def test_what_is_forgotten_is_asked_for_anew(endpoint, keys):
    keys()
    keys.forget()
    assert keys().access_key == "key-2"


def test_keys_are_not_sent_for_over_the_network_in_the_clear():
    with pytest.raises(InvalidInputError, match="in the clear"):
        ContainerCredentials("http://192.0.2.1/creds", "x")
